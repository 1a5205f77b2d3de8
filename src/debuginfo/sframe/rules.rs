//! The rules for SFrame data. Codes never change their
//! meaning and have gaps for later rules.

use crate::base::rule::{Rule, rules};

/// Returns the rule of this code, in any case of letters.
#[must_use]
pub fn rule(code: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.code.eq_ignore_ascii_case(code))
}

rules! {
    SHORT "SF001" Error "section too small for a header"
        "An SFrame section starts with a header of 28 bytes. A shorter section was truncated or is not an \
        SFrame section. Nothing in it can be used."
        "libsframe/doc/sframe-spec.texi, “SFrame Header”; include/sframe.h, sframe_header";
    EMPTY "SF002" Warning "empty section"
        "The section has no bytes, as `ld --discard-sframe` leaves it: no function of the file can be unwound \
        by SFrame."
        "libsframe/doc/sframe-spec.texi, “SFrame Header”; include/sframe.h, sframe_header";
    MAGIC_WRONG "SF003" Error "wrong magic number"
        "The first two bytes must be 0xdee2 in the byte order of the data. Readers reject the section."
        "libsframe/doc/sframe-spec.texi, “SFrame Header”; include/sframe.h, sframe_header";
    VERSION "SF004" Error "unknown version"
        "Versions 1 (binutils 2.40), 2 (2.41 to 2.45) and 3 (2.46 on) exist. Readers reject any other."
        "libsframe/doc/sframe-spec.texi, “SFrame Header”; include/sframe.h, sframe_header";
    FLAGS "SF005" Error "undefined flag bits"
        "Version 1 defines bits 0 and 1, version 2 also bit 2 (since its errata), version 3 bits 0 and 2. \
        Other bits have no meaning, so a reader cannot continue safely."
        "libsframe/doc/sframe-spec.texi, “SFrame Header”; include/sframe.h, sframe_header";
    ABI "SF006" Error "unknown ABI"
        "ABIs are 1 (aarch64 big-endian), 2 (aarch64 little-endian), 3 (amd64) and 4 (s390x). The meaning of \
        every row depends on it."
        "libsframe/doc/sframe-spec.texi, “SFrame Header”; include/sframe.h, sframe_header";
    ABI_FILE "SF007" Error "ABI does not match the file"
        "The ABI byte, the byte order of the data and the ELF file's machine and byte order must match. A \
        reader selects registers and offsets by the ABI, so it would unwind wrongly."
        "libsframe/doc/sframe-spec.texi, “SFrame Header”; include/sframe.h, sframe_header";
    EXTENT "SF008" Error "tables do not fit"
        "The FDE table must end before the FRE area starts, and that must end inside the section; both are \
        counted from the end of the headers. A reader that trusts the counts would read outside the section."
        "libsframe/doc/sframe-spec.texi, “SFrame Header”; include/sframe.h, sframe_header";
    AUX "SF009" Warning "auxiliary header or FDE offset not 0"
        "No ABI defines an auxiliary header, and assemblers and linkers place the FDE table immediately after \
        the header. Readers cope with it, but no known tool writes it."
        "libsframe/doc/sframe-spec.texi, “SFrame Header”; include/sframe.h, sframe_header";
    FIXED_RA "SF010" Error "fixed return-address offset is not the ABI's"
        "On amd64 the return address is always at CFA-8 and is not part of rows; on other ABIs rows track it \
        and this byte must be 0. With any other value unwinders read every return address from the wrong place."
        "libsframe/doc/sframe-spec.texi, “SFrame Header”; include/sframe.h, sframe_header";
    FIXED_FP "SF011" Warning "fixed frame-pointer offset not 0"
        "No ABI saves the frame pointer at a fixed offset; the assembler always writes 0."
        "libsframe/doc/sframe-spec.texi, “SFrame Header”; include/sframe.h, sframe_header";
    SECTION_TYPE "SF012" Error "section type is not SHT_GNU_SFRAME"
        "Since binutils 2.45 the section has the type 0x6ffffff4, by which linkers and strip identify it. \
        With any other type it is merged as plain bytes or removed."
        "bfd/elf-sframe.c of binutils 2.41 to 2.47";
    PROGBITS "SF013" Warning "section type is PROGBITS"
        "Assemblers up to 2.44 wrote this type. Linkers since 2.45 expect SHT_GNU_SFRAME: assemble again \
        with a current assembler."
        "bfd/elf-sframe.c of binutils 2.41 to 2.47";
    SEGMENT "SF014" Error "section outside of the PT_GNU_SFRAME segment"
        "An unwinder finds the data by the program header PT_GNU_SFRAME. A section outside of it is never \
        read. (The segment may be larger than the section: the linker sizes it before merging.)"
        "bfd/elf-sframe.c of binutils 2.41 to 2.47";
    LINK_UNSORTED "SF015" Error "not sorted in a final link"
        "The final link sorts functions by address and sets SFRAME_F_FDE_SORTED; unwinders bisect the table \
        and refuse it otherwise."
        "bfd/elf-sframe.c of binutils 2.41 to 2.47";
    LINK_PCREL "SF016" Error "start addresses of version 3 are not relative to their fields"
        "In version 3 SFRAME_F_FDE_FUNC_START_PCREL must be set: readers take start addresses for relative to \
        their own fields, and linkers refuse objects without it."
        "libsframe/doc/sframe-spec.texi, “SFrame Header”; include/sframe.h, sframe_header";
    LINK_SECTION "SF017" Warning "start addresses are relative to the section"
        "In final links of version 1 and of version 2 before its errata, start addresses are relative to the \
        start of the section. Readers that support only the later form find the wrong functions."
        "libsframe/doc/sframe-spec.texi, “SFrame Header”; include/sframe.h, sframe_header";
    FRES "SF018" Error "number of rows differs from the header"
        "The header's count of frame rows must be the sum over all functions. Linkers use it to allocate memory."
        "libsframe/doc/sframe-spec.texi, “SFrame Header”; include/sframe.h, sframe_header";
    FRE_AREA "SF019" Error "rows exceed the FRE area"
        "All rows and, in version 3, 5 bytes of attributes per function must fit into the FRE area; if they \
        do not, functions share rows, or the header is wrong."
        "libsframe/doc/sframe-spec.texi, “SFrame Header”; include/sframe.h, sframe_header";
    FRE_GAP "SF020" Warning "bytes in the FRE area belong to no function"
        "Between or after the rows of functions are bytes that nothing refers to: a function was removed \
        without its rows, or an offset is wrong."
        "libsframe/doc/sframe-spec.texi, “SFrame Frame Row Entries”";
    FRE_SHARED "SF021" Warning "functions share rows"
        "The rows of two functions overlap in the FRE area. Assemblers and linkers never do this, so an \
        offset is probably wrong."
        "libsframe/doc/sframe-spec.texi, “SFrame Frame Row Entries”";
    CONCATENATED "SF022" Error "several headers in one section"
        "A linker without SFrame support concatenated the sections, or the input sections had another type. \
        Readers see only the first table: all later functions are missing."
        "bfd/elf-sframe.c of binutils 2.41 to 2.47";
    RENAMED "SF023" Warning "a renamed section was not merged"
        "The section is not named `.sframe` (because of objcopy --prefix-alloc-sections, for example), so the \
        linker concatenated tables instead of merging and sorting them. No unwinder searches for it by this \
        name. Each table is checked separately."
        "bfd/elf-sframe.c of binutils 2.41 to 2.47";
    TRAILING "SF024" Error "bytes after the table that are not a table"
        "The FRE area is followed by bytes that are neither padding nor another header."
        "libsframe/doc/sframe-spec.texi, “SFrame Header”; include/sframe.h, sframe_header";
    NO_SEGMENT "SF025" Warning "no PT_GNU_SFRAME segment"
        "The linked file has an SFrame section and no program header for it, as with linker scripts that \
        define their own program headers (kernels). Readers must find the data by other means."
        "bfd/elf-sframe.c of binutils 2.41 to 2.47";
    FRE_TYPE "SF030" Error "unknown FRE type"
        "The start addresses of rows have 1, 2 or 4 bytes (types 0, 1, 2). The rows of this function cannot \
        be read."
        "libsframe/doc/sframe-spec.texi, “SFrame Function Descriptor Entries”";
    FDE_TYPE "SF031" Error "unknown FDE type"
        "Version 3 defines the types 0 (default) and 1 (flexible). The meaning of the words in its rows is \
        unknown."
        "libsframe/doc/sframe-spec.texi, “SFrame Function Descriptor Entries”";
    UNUSED_BITS "SF033" Warning "unused bits set"
        "Bit 6 of the info byte, bits 5 to 7 of the second one, and the padding of version 2 must be 0."
        "libsframe/doc/sframe-spec.texi, “SFrame Function Descriptor Entries”";
    B_KEY "SF034" Warning "B key on an ABI other than aarch64"
        "The pointer-authentication key is defined for aarch64 only."
        "libsframe/doc/sframe-spec.texi, “SFrame Function Descriptor Entries”";
    EARLY_SIGNAL "SF035" Warning "signal bit before version 3"
        "Bit 7 of the info byte marks signal frames in version 3 only."
        "libsframe/doc/sframe-spec.texi, “SFrame Function Descriptor Entries”";
    REP_SIZE "SF036" Error "repetition size of a MASK function"
        "Rows of a MASK function (PLT) repeat every rep_size bytes: with 0, or more than the size of the \
        function, no row is found."
        "libsframe/doc/sframe-spec.texi, “SFrame Function Descriptor Entries”";
    REP_SIZE_INC "SF037" Warning "repetition size without MASK"
        "Only functions of the type MASK repeat their rows; elsewhere the size must be 0."
        "libsframe/doc/sframe-spec.texi, “SFrame Function Descriptor Entries”";
    NOT_CODE "SF038" Error "function is not in executable memory"
        "[start, start+size) must be within one executable section. Otherwise the start address is wrong (its \
        meaning depends on SFRAME_F_FDE_FUNC_START_PCREL), or the function was discarded but its entry was \
        not."
        "libsframe/doc/sframe-spec.texi, “SFrame Function Descriptor Entries”";
    FRE_TYPE_WIDE "SF039" Warning "FRE type larger than needed"
        "The assembler uses 1-byte starts for functions below 256 bytes and 2-byte starts below 65,536: the \
        rows take more space than necessary."
        "gas/gen-sframe.c of binutils 2.46 and 2.47, compared with DWARF 5, section 6.4";
    NO_ROWS "SF040" Error "function without rows"
        "Only a default function of version 3 may have no rows: it is then the outermost frame, or a signal \
        frame that cannot be represented. In other functions an unwinder finds nothing."
        "libsframe/doc/sframe-spec.texi, “SFrame Function Descriptor Entries”";
    ATTRIBUTES "SF041" Error "attributes outside of the FRE area"
        "In version 3, five bytes of attributes precede a function's rows; the offset of these is outside the \
        area."
        "libsframe/doc/sframe-spec.texi, “SFrame Function Descriptor Entries”";
    FLEXIBLE_ABI "SF042" Warning "flexible FDE on an ABI without them"
        "Flexible FDEs are defined for amd64 and s390x. An assembler that writes one for aarch64 did not \
        reject a directive that SFrame cannot represent."
        "gas/gen-sframe.c of binutils 2.46 and 2.47, compared with DWARF 5, section 6.4";
    WORD_SIZE "SF050" Error "unknown word size"
        "Words have 1, 2 or 4 bytes (codes 0, 1, 2). This row and the following ones cannot be read."
        "libsframe/doc/sframe-spec.texi, “SFrame Frame Row Entries”";
    WORD_COUNT "SF051" Error "too many words"
        "A row has at most six words: three rules of a flexible function, each with a control word and an \
        offset. The following rows cannot be read."
        "libsframe/doc/sframe-spec.texi, “SFrame Frame Row Entries”";
    ROW_PAST "SF052" Error "row extends past the FRE area"
        "The number of rows or the offset of the function is wrong."
        "libsframe/doc/sframe-spec.texi, “SFrame Frame Row Entries”";
    START_ORDER "SF053" Error "row starts do not increase"
        "Rows are sorted by their start, and no two start at the same byte: an unwinder that stops at the \
        first later row finds the wrong one."
        "libsframe/doc/sframe-spec.texi, “SFrame Frame Row Entries”";
    FIRST_START "SF054" Error "first row does not start at 0"
        "The bytes before the first row have no rule."
        "libsframe/doc/sframe-spec.texi, “SFrame Frame Row Entries”";
    FIRST_START_EARLY "SF055" Warning "first row does not start at 0"
        "The bytes before the first row have no rule. Versions 1 and 2 do not forbid it."
        "libsframe/doc/sframe-spec.texi, “SFrame Frame Row Entries”";
    START_RANGE "SF056" Error "row starts after its function"
        "A row's start is at most the function's size, and below the repetition size in a MASK function."
        "libsframe/doc/sframe-spec.texi, “SFrame Frame Row Entries”";
    LEFTOVER "SF057" Error "more words than the ABI has rules"
        "A default row has the CFA's offset, then that of the return address if it is tracked, then that of \
        the frame pointer. Further words have no meaning."
        "libsframe/doc/sframe-spec.texi, “SFrame Frame Row Entries”";
    FLEXIBLE_COUNT "SF058" Error "number of words in a flexible row"
        "A flexible row has a control word and an offset for the CFA (2), also for the return address (4), \
        for the frame pointer with one word of padding before it (5), or for both (6); or no words if the \
        return address is undefined."
        "libsframe/doc/sframe-spec.texi, “SFrame Frame Row Entries”";
    CFA_CONTROL "SF059" Error "CFA without a base register"
        "The CFA's control word must have bit 0 set, because it can be based on nothing but a register."
        "libsframe/doc/sframe-spec.texi, “SFrame Frame Row Entries”";
    CONTROL_BIT "SF060" Error "unused bit of a control word"
        "Bit 2 of control words must be 0."
        "libsframe/doc/sframe-spec.texi, “SFrame Frame Row Entries”";
    REGISTER "SF061" Error "register that the ABI does not have"
        "A control word names a register beyond those of the ABI. (Binutils 2.46 and 2.47 write 536870911 for \
        a rule they cannot express.)"
        "libsframe/doc/sframe-spec.texi, “SFrame Frame Row Entries”";
    UNALIGNED "SF062" Error "offset is not a multiple of 8"
        "On s390x, registers are saved as doublewords: any other offset in a default row of version 3 is \
        wrong."
        "libsframe/doc/sframe-spec.texi, “SFrame Frame Row Entries”";
    MANGLED "SF063" Error "signed return address on an ABI other than aarch64"
        "Bit 7 of a row's info byte marks a signed return address, which only aarch64 has."
        "libsframe/doc/sframe-spec.texi, “SFrame Frame Row Entries”";
    OUTERMOST_BITS "SF064" Warning "undefined return address with other bits"
        "A row without words marks the outermost frame; the other bits of its info byte must be 0."
        "libsframe/doc/sframe-spec.texi, “SFrame Frame Row Entries”";
    WORD_WIDE "SF065" Warning "words larger than needed"
        "All words of the row would fit into a smaller size."
        "gas/gen-sframe.c of binutils 2.46 and 2.47, compared with DWARF 5, section 6.4";
    DUPLICATE "SF066" Warning "rows that repeat the previous one"
        "A row is equal to the previous row. The assembler writes such rows if a directive changes a register \
        that SFrame does not track; they only take space."
        "gas/gen-sframe.c of binutils 2.46 and 2.47, compared with DWARF 5, section 6.4";
    PADDING_WORD "SF067" Error "padding word of a flexible row is not 0"
        "In a row of five words the third is in the place of the return address' control word and must be 0: \
        readers take another value for a rule of the return address."
        "libsframe/doc/sframe-spec.texi, “SFrame Frame Row Entries”";
    UNSORTED "SF070" Error "functions are not sorted although the header marks them as sorted"
        "SFRAME_F_FDE_SORTED is set, so readers bisect: functions out of order are not found."
        "libsframe/doc/sframe-spec.texi, “SFrame Header”; include/sframe.h, sframe_header";
    EQUAL_STARTS "SF071" Warning "two functions start at the same address"
        "Normal only if one of them has no bytes. It is undefined which one a reader finds."
        "libsframe/doc/sframe-spec.texi, “SFrame Function Descriptor Entries”";
    OVERLAP "SF072" Error "functions overlap"
        "An address belongs to two functions, and it is undefined which rows a reader uses."
        "libsframe/doc/sframe-spec.texi, “SFrame Function Descriptor Entries”";
    DISCARDED "SF073" Warning "discarded function still has an entry"
        "The relocation of the start field has the type NONE: `ld -r` leaves such entries when it discards a \
        section. The final link drops the entry."
        "bfd/elf-sframe.c of binutils 2.41 to 2.47";
    MIXED "SF074" Error "tables of one section differ"
        "ABI, version and fixed offsets must equal those of the first table; the linker does not compare the \
        fixed offsets and merges them silently."
        "bfd/elf-sframe.c of binutils 2.41 to 2.47";
    NO_RELOCATION "SF075" Error "start address without a usable relocation"
        "In a relocatable file every start field needs one PC-relative relocation against its function. \
        Without it, or with one whose target is undefined, the entry describes no function."
        "bfd/elf-sframe.c of binutils 2.41 to 2.47";
    MISMATCH "SF080" Error "SFrame and DWARF disagree"
        "At these addresses the two tables describe different callers. They were generated from the same \
        directives, so the assembler (or a later tool) changed the meaning. An unwinder that uses SFrame \
        gives a wrong backtrace here."
        "gas/gen-sframe.c of binutils 2.46 and 2.47, compared with DWARF 5, section 6.4";
    MISSING_FDE "SF081" Error "missing FDE"
        "The function has DWARF CFI but no SFrame FDE, although SFrame can represent all its directives. A \
        backtrace ends here."
        "gas/gen-sframe.c of binutils 2.46 and 2.47, compared with DWARF 5, section 6.4";
    NO_DWARF "SF082" Warning "SFrame function without DWARF CFI"
        "An entry without call-frame information of the same function: there is nothing to compare it with."
        "gas/gen-sframe.c of binutils 2.46 and 2.47, compared with DWARF 5, section 6.4";
    RANGE "SF083" Error "SFrame and DWARF disagree on the size of the function"
        "Both are generated from the same .cfi_startproc and .cfi_endproc."
        "gas/gen-sframe.c of binutils 2.46 and 2.47, compared with DWARF 5, section 6.4";
    SIGNAL "SF084" Error "SFrame and DWARF disagree on the signal frame"
        "The augmentation `S` of DWARF and the signal bit of version 3 have the same meaning: without it an \
        unwinder looks up the caller one instruction too early."
        "gas/gen-sframe.c of binutils 2.46 and 2.47, compared with DWARF 5, section 6.4";
    KEY "SF085" Error "SFrame and DWARF disagree on the key"
        "The augmentation `B` of DWARF and the pointer-authentication bit of the function have the same meaning."
        "gas/gen-sframe.c of binutils 2.46 and 2.47, compared with DWARF 5, section 6.4";
    NO_CFI "SF086" Warning "no call-frame information to compare it with"
        "The file has neither .eh_frame nor .debug_frame with entries. The structure was checked, the content \
        of the rows was not."
        "gas/gen-sframe.c of binutils 2.46 and 2.47, compared with DWARF 5, section 6.4";
    CFI_DAMAGED "SF087" Error "call-frame information cannot be read"
        "An entry of .eh_frame or .debug_frame is damaged or has an unknown format; its function was not \
        compared."
        "DWARF 5, section 6.4; LSB, .eh_frame";
    UNREADABLE "SF088" Error "file cannot be read"
        "A member of an archive or a file of a directory looks like ELF and is damaged."
        "ELF specification";
    NO_SECTION "SF089" Warning "no SFrame data"
        "The file has functions with call-frame information, but no .sframe section. Assemble with \
        -Wa,--gsframe-3 (binutils 2.46 or later) or -Wa,--gsframe."
        "gas/gen-sframe.c of binutils 2.46 and 2.47, compared with DWARF 5, section 6.4";
    UNIT_WITHOUT_SFRAME "SF090" Warning "units without SFrame"
        "In a linked file, compilation units have call-frame information and none of their functions is in \
        SFrame: their objects were assembled without it. A backtrace ends in them. Units are distinguished by \
        .debug_info and .debug_aranges."
        "gas/gen-sframe.c of binutils 2.46 and 2.47, compared with DWARF 5, section 6.4";
    UNKNOWN_UNIT "SF091" Warning "function without SFrame in no known compilation unit"
        "A linked file has call-frame information of the function and no SFrame entry, and no debug information \
        identifies its object: either the object was assembled without SFrame data, like the start files of many C \
        libraries, or the entry is missing."
        "gas/gen-sframe.c of binutils 2.46 and 2.47, compared with DWARF 5, section 6.4";
    RESTORE "SF092" Error "`.cfi_restore` goes back to the function's first row (a fault of GNU as 2.46 and 2.47)"
        "DWARF restores the rule of the CIE: the register has its own value again. SFrame has the rule of the \
        function's first row, where a split-off cold part has its registers saved already. An unwinder that \
        uses SFrame takes a wrong frame pointer here. Assemble again with a corrected assembler; docs/upstream \
        has the patch."
        "gas/gen-sframe.c of binutils 2.46 and 2.47, sframe_xlate_do_restore; gas/doc/as.texi, .cfi_restore";
    IMPOSSIBLE "SF093" Error "DWARF restores a register to a rule that cannot be right (a fault of GNU as)"
        "DWARF restored the register and has its value in a slot below the stack pointer, from where it was \
        popped, or the return address of amd64 nowhere. GNU as moves the leading instructions of a function \
        into a new CIE, or uses the CIE of a function without initial instructions, so .cfi_restore goes back \
        to other rules than those of .cfi_startproc. Rows are wrong here even where both tables agree."
        "gas/dw2gencfi.c of binutils up to 2.47, select_cie_for_fde; gas/doc/as.texi, .cfi_restore";
    PLT "SF094" Error "PLT without SFrame (a fault of GNU ld)"
        "The linker describes its PLT in .eh_frame and not in SFrame, though the file has SFrame data: `ld \
        -shared --gc-sections` discards what it generated. A backtrace ends in the PLT."
        "bfd/elfxx-x86.c and bfd/elf-sframe.c of binutils 2.47";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_each_rule_is_documented() {
        assert!(RULES.is_sorted_by(|a, b| a.code < b.code));
        for rule in RULES {
            assert!(rule.code.starts_with("SF") && rule.code.len() == 5, "{}", rule.code);
            assert!(rule.explanation.len() > 30 && !rule.source.is_empty(), "{}", rule.code);
            assert!(!rule.explanation.contains("  "), "{}", rule.code);
        }
        assert_eq!(rule("sf003"), Some(&MAGIC_WRONG));
        assert_eq!(rule("SF999"), None);
    }
}
