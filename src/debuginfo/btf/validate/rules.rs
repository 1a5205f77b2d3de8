//! The rules, each with a code that never changes its meaning.

use crate::base::rule::rules;

const UAPI: &str = "include/uapi/linux/btf.h";
const KERNEL: &str = "kernel/bpf/btf.c, the verifier of BTF";
const HEADER: &str = "kernel/bpf/btf.c, btf_check_sec_info and btf_parse_hdr";
const LAYOUT: &str = "kernel series that adds the layout section: kinds can be skipped without being known";
const INLINE: &str = "2026 kernel series on inline BTF, form (iii)";
const OLD: &str = "RFC of October 2025 on inline BTF, form (ii)";
const EXT: &str = "Documentation/bpf/btf.rst and libbpf's loader of .BTF.ext";
const OURS: &str = "beyond what kernels check";

rules! {
    UNREADABLE "BT001" Error "not readable as BTF"
        "The header is too short, has another magic number or an unknown version. The magic number is 0xeB9F; its byte \
         order is that of the whole file. Make sure that this is a .BTF section and not the file that contains it."
        UAPI;
    OBSOLETE "BT002" Warning "obsolete form of inline BTF"
        "The section has the form that was proposed in April 2025: a header like BTF's, then tables of instances and \
         of location expressions, no types and no strings. No released tool reads it and kernels do not know it, so it \
         is recognised but not decoded. Generate it again in the form of the 2026 series."
        "RFC of April 2025: list inline expansions in .BTF.inline";
    HEADER_WORDS "BT003" Error "header has unknown fields"
        "The flags are not 0, the header's length is neither 24 nor 32, or unknown bytes of the header are not 0. Kernels \
         reject such a header, since it may change the meaning of the rest."
        HEADER;
    OUTSIDE "BT004" Error "section outside the file"
        "A section that the header names begins or ends past the end of the file. The file was truncated, or its \
         header is damaged."
        HEADER;
    GAPS "BT005" Error "sections overlap or leave a gap"
        "Types, layout and strings must follow each other without gaps and overlaps, and nothing may follow the \
         last. Kernels refuse anything else, as it could hide data."
        HEADER;
    STRINGS_LAST "BT006" Error "strings are not the last section"
        "With a header of 24 bytes the string section ends the file."
        HEADER;
    ALIGNMENT "BT007" Error "misaligned section"
        "The type section and the layout section begin at a multiple of 4, and the layout section is a multiple of 4 \
         long."
        HEADER;
    LAYOUT_ENTRY "BT008" Error "layout entry contradicts the kind"
        "A layout entry gives the length of the types of a kind. This entry contradicts the kind's definition, so a \
         reader that trusts it misreads all later types."
        LAYOUT;
    LAYOUT_MISSING "BT009" Warning "kind without a layout entry"
        "The layout section has no entry for a kind that the file uses. Readers that do not know the kind cannot skip \
         it, which is the purpose of the section."
        LAYOUT;
    STRING_SECTION "BT010" Error "string section is not NUL-terminated"
        "Every string section must end with a NUL: otherwise the last string would be read past the section."
        KERNEL;
    WALK "BT011" Error "type section cannot be walked to its end"
        "A type has an unknown kind without a layout entry, or its elements extend past the section. The start of the \
         next type is then unknown, so no later type can be checked."
        KERNEL;
    NO_TYPES "BT012" Error "no types"
        "BTF that is not split must have types: kernels refuse it otherwise. A split file may be empty."
        KERNEL;
    UNKNOWN_KIND "BT013" Warning "unknown kind"
        "The type was skipped according to its layout entry. Its content was not checked."
        LAYOUT;
    INFO_BITS "BT014" Error "info word has bits that must be 0"
        "The file is in the narrow grammar, whose info word has 16 bits of count and 5 of kind. All other bits must be 0."
        KERNEL;
    BASE_ORDER "BT015" Error "base has the other byte order"
        "A split file and its base must have the same byte order. Specify the base that it was generated with."
        OURS;
    WRONG_BASE "BT016" Warning "names begin inside strings of the base"
        "Names of a split file point into the middle of its base's strings. A writer would point at their beginnings, \
         so the file was probably generated with another base."
        OURS;
    NO_BASE "BT017" Error "base is missing"
        "The strings of BTF without a base begin with a NUL, the empty name. Here they do not, so this is split BTF, and \
         its base was not given: for a module, the BTF of vmlinux; for inline BTF, the main BTF. Its types cannot be \
         checked without it. Specify the base with --base."
        KERNEL;
    NAME_OFFSET "BT020" Error "name outside the strings"
        "The offset is past the last string of the file and its bases, or the string is not terminated. In a split \
         file this can also be caused by a wrong base."
        KERNEL;
    NAME_MISSING "BT021" Error "name is missing"
        "Types of this kind, and values of an enumeration, must have a name."
        KERNEL;
    NAME_EXTRA "BT022" Error "unexpected name"
        "Types of this kind have no name: the offset must be 0."
        KERNEL;
    IDENTIFIER "BT023" Error "name is not an identifier"
        "Kernels accept letters, digits (not first), `_` and `.`, and fewer than 512 characters."
        KERNEL;
    SECTION_NAME "BT024" Error "name is not a section name"
        "The name of a DATASEC or LOCSEC consists of printable ASCII characters, fewer than 512."
        KERNEL;
    NO_SUCH_TYPE "BT030" Error "type id beyond the last type"
        "The type refers to an id that neither this file nor its bases define. In a split file this can also be caused by \
         a wrong base."
        KERNEL;
    VOID "BT031" Error "void where a type is required"
        "Id 0 is void. An element, index, member, variable or tagged type cannot be void."
        KERNEL;
    WRONG_KIND "BT032" Error "refers to a type of the wrong kind"
        "A FUNC refers to a FUNC_PROTO, a DATASEC to VARs, a DECL_TAG to a STRUCT, UNION, FUNC, VAR or TYPEDEF. \
         Nothing but a DATASEC, DECL_TAG or LOCSEC refers to a VAR or FUNC, and nothing to a DATASEC or DECL_TAG."
        KERNEL;
    KIND_FLAG "BT033" Error "kind flag without a meaning"
        "The top bit of the info word has a meaning for STRUCT, UNION, ENUM, ENUM64, FWD and the tags only."
        KERNEL;
    COUNT "BT034" Error "non-zero count on a kind without elements"
        "Types of this kind have no elements: the count must be 0."
        KERNEL;
    THIRD_WORD "BT035" Error "non-zero size or type on a kind without either"
        "An ARRAY and a FWD use neither: the word must be 0."
        KERNEL;
    LIMITS "BT036" Warning "exceeds the limits of kernels"
        "The kernel's header has allowed type ids up to 0xfffff and string offsets up to 0xffffff; later ones may allow \
         more."
        UAPI;
    CHAIN_LOOP "BT037" Error "cycle of pointers and modifiers"
        "Following PTR, TYPEDEF, CONST, VOLATILE, RESTRICT and TYPE_TAG must end at another kind. Here it returns \
         to its start."
        KERNEL;
    CONTAINS_ITSELF "BT038" Error "type contains itself"
        "A STRUCT, UNION or ARRAY contains itself other than through a pointer, so it would be infinitely large."
        KERNEL;
    NO_SIZE "BT039" Error "type without a size where a size is required"
        "An element, member, variable or returned value must have a size. A FWD, FUNC_PROTO or FUNC has none."
        KERNEL;
    INT_WORD "BT040" Error "invalid integer encoding"
        "An INT's encoding is 0 or one of SIGNED, CHAR and BOOL, its unused bits are 0, and its width is at most 128 \
         bits and fits its size."
        KERNEL;
    FLOAT_SIZE "BT041" Error "invalid size of a floating-point type"
        "A FLOAT has 2, 4, 8, 12 or 16 bytes, the sizes that exist on some machine."
        KERNEL;
    ENUM_SIZE "BT042" Error "invalid size of an enumeration"
        "An ENUM has 1, 2, 4 or 8 bytes; so has an ENUM64."
        KERNEL;
    ARRAY_INDEX "BT043" Error "array index is not an integer"
        "The index of an ARRAY is an INT, possibly behind modifiers."
        KERNEL;
    ARRAY_SIZE "BT044" Error "array is larger than 4 GiB"
        "The size of all elements together does not fit 32 bits."
        KERNEL;
    MEMBER_OUTSIDE "BT045" Error "member extends past the structure"
        "The member's last bit is past the size of its STRUCT or UNION."
        KERNEL;
    MEMBER_ORDER "BT046" Error "members are not in order"
        "Offsets of a STRUCT's members never decrease; those of a UNION are 0."
        KERNEL;
    BIT_FIELD "BT047" Error "invalid bit field"
        "A bit field has an integer or enumeration type and is not wider than its type. Other members begin at a byte \
         boundary."
        KERNEL;
    LINKAGE "BT048" Error "unknown linkage"
        "A FUNC and a VAR are static (0), global (1) or extern (2)."
        KERNEL;
    PARAM_NAME "BT049" Warning "parameter of a function has no name"
        "Kernels require names for all parameters of a FUNC in a program's BTF. In a kernel's own BTF the missing name \
         only affects readers."
        KERNEL;
    VARIADIC "BT050" Error "`...` is not the last parameter"
        "A parameter of type void means `...`: it comes last and has no name."
        KERNEL;
    SECTION_VARS "BT052" Error "variables of a section overlap or are outside of it"
        "Variables of a DATASEC have a size, are sorted by offset, do not overlap, and end inside the section, whose size is \
         not 0."
        KERNEL;
    VAR_SIZE "BT053" Error "variable is smaller than its type"
        "A DATASEC gives the variable fewer bytes than its type has."
        KERNEL;
    COMPONENT "BT054" Error "tag refers to a component that does not exist"
        "A DECL_TAG's index is -1 for the declaration itself, or selects a member of a STRUCT or UNION or a parameter of a FUNC."
        KERNEL;
    TAG_ORDER "BT055" Warning "type tag comes after modifiers"
        "Kernels expect TYPE_TAGs directly after a pointer, before CONST and the like, and refuse program BTF that \
         has them elsewhere."
        KERNEL;
    NOT_LAID_OUT "BT056" Warning "section is not laid out yet"
        "The DATASEC has size 0 and all offsets are 0, as compilers write them in BPF objects: libbpf fixes this up \
         at load time; kernels reject it."
        OURS;
    LOADER_RESOLVES "BT057" Warning "extern of a BPF object"
        "A DATASEC lists an extern FUNC (a kfunc), or an extern VAR has no complete type: libbpf fixes this up at \
         load time; kernels reject it."
        OURS;
    INLINE_HEAD "BT060" Error "invalid header of an inline kind"
        "LOC_PARAM, LOC_PROTO and LOCSEC have no kind flag; LOC_PROTO and LOCSEC have 0 as their third word."
        INLINE;
    PARAM_SIZE "BT061" Error "size of a location is not 1 to 16"
        "The size of a LOC_PARAM is that of the parameter, 1 to 16 bytes."
        INLINE;
    PARAM_FLAGS "BT062" Error "invalid combination of location flags"
        "The flag sets are CONST [ADDR] [SIGNED], REG, REG|DEREF and REG|OFFSET [DEREF] [SIGNED]."
        INLINE;
    PARAM_VALUES "BT063" Error "number of values does not match the flags"
        "CONST has 1 or 2 values (and a size of at most 8; 2 values where it is more than 4), REG 1 or 2 (a pair of \
         registers), REG|DEREF 1, REG|OFFSET 2 or 3."
        INLINE;
    PROTO_PARAM "BT064" Error "LOC_PROTO does not refer to a LOC_PARAM"
        "Each entry of a LOC_PROTO is 0, for a parameter that is not available, or a LOC_PARAM."
        INLINE;
    SITE_FUNC "BT065" Error "site does not refer to a function"
        "A site's function is a FUNC whose type is a FUNC_PROTO (form (iii)), or a FUNC_PROTO (form (ii))."
        INLINE;
    SITE_PROTO "BT066" Error "site does not refer to a LOC_PROTO"
        "Every site has a LOC_PROTO, even if none of its parameters is available."
        INLINE;
    SITE_COUNT "BT067" Error "site and function differ in the number of parameters"
        "The LOC_PROTO of a site has one entry for each parameter of the function, a variadic one's `...` included."
        INLINE;
    SITE_ORDER "BT068" Warning "sites are not sorted"
        "Sites of a LOCSEC are sorted by function, offset and LOC_PROTO, so that those of a function can be found by \
         bisection."
        OURS;
    SITE_TWICE "BT069" Warning "duplicate site"
        "Two entries of a LOCSEC have the same function, offset and LOC_PROTO, so one of them is redundant."
        OURS;
    SITE_OUTSIDE "BT070" Error "site is outside of its section"
        "The offset of a site is not inside the ELF section that its LOCSEC is named after."
        OURS;
    SITE_SECTION "BT071" Warning "LOCSEC names no section of the file"
        "The ELF file has no section of this name (nor after `inline`), so the sites cannot be placed."
        OURS;
    TWICE "BT072" Warning "duplicate location"
        "LOC_PARAMs and LOC_PROTOs should be shared, but an equal one exists already."
        OURS;
    NAME_ORDER "BT073" Warning "types are not sorted by name"
        "Types without a name come first and the others are sorted by name, so that kernels can find them by bisection."
        INLINE;
    OLD_PARAM "BT080" Error "invalid location of the older form"
        "A LOC_PARAM of form (ii) has a size of 1 to 16 bytes (negative when signed; a constant at most 8) and no \
         flags but DEREF and CONTINUE."
        OLD;
    OLD_SITE_NAME "BT081" Error "site of the older form has no name"
        "A site of form (ii) has the name of its function, which must be an identifier."
        OLD;
    EXT_HEADER "BT090" Error "header of .BTF.ext is not readable"
        "The header is that of BTF with the offsets and lengths of func_info, line_info and (from 32 bytes on) core_relo. \
         Its byte order is that of .BTF."
        EXT;
    EXT_TABLES "BT091" Error "tables of .BTF.ext overlap or are outside of it"
        "func_info, line_info and core_relo lie inside the section, at multiples of 4, and do not overlap."
        EXT;
    EXT_RECORD "BT092" Error "invalid record size in .BTF.ext"
        "A table begins with the size of its records: a multiple of 4, at least 8 for func_info and 16 for line_info and \
         core_relo."
        EXT;
    EXT_TRUNCATED "BT093" Error "records of .BTF.ext extend past their table"
        "For each ELF section a table has the name, the number of records, at least 1, and the records."
        EXT;
    EXT_SECTION "BT094" Error "records of .BTF.ext are about no section of the file"
        "The name is the offset of a string of .BTF, and the ELF file has a section of that name: the code that the records \
         are about."
        EXT;
    EXT_OFFSET "BT095" Error "record of .BTF.ext is about no instruction"
        "The offset is in bytes from the start of the ELF section, a multiple of 8, and inside the section."
        EXT;
    EXT_ORDER "BT096" Error "records of .BTF.ext are not in order"
        "Offsets of func_info and line_info rise strictly within a section; kernels refuse a program otherwise."
        EXT;
    EXT_FUNCTION "BT097" Error "func_info does not refer to a function"
        "The type of a record of func_info is a FUNC of .BTF."
        EXT;
    EXT_LINE "BT098" Error "line_info has text outside the strings"
        "File name and source line are offsets of strings of .BTF."
        EXT;
    EXT_RELOCATION "BT099" Error "invalid CO-RE relocation"
        "A record of core_relo has a type, a kind from 0 to 12, and an access string: numbers separated by colons that \
         select members and elements (kinds 0 to 5), an enumerator (10 and 11), or `0` for the type itself."
        EXT;
}

#[cfg(test)]
mod tests {
    use super::RULES;

    #[test]
    fn codes_rise_and_every_rule_is_documented() {
        assert!(RULES.iter().map(|rule| rule.code).is_sorted_by(|a, b| a < b));
        for rule in RULES {
            assert!(rule.code.len() == 5 && rule.code.starts_with("BT"), "{}", rule.code);
            assert!(rule.explanation.len() > 40 && rule.explanation.ends_with('.'), "{}", rule.code);
            assert!(!rule.title.ends_with('.') && !rule.source.is_empty(), "{}", rule.code);
        }
    }
}
