//! The rules, each with a code that keeps its meaning for ever.

use crate::base::rule::rules;

const UAPI: &str = "include/uapi/linux/btf.h";
const KERNEL: &str = "kernel/bpf/btf.c, the verifier of BTF";
const HEADER: &str = "kernel/bpf/btf.c, btf_check_sec_info and btf_parse_hdr";
const LAYOUT: &str = "kernel series that adds the layout section: kinds can be skipped without being known";
const INLINE: &str = "2026 kernel series on inline BTF, form (iii)";
const OLD: &str = "RFC of October 2025 on inline BTF, form (ii)";
const OURS: &str = "beyond what kernels check";

rules! {
    UNREADABLE "BT001" Error "not readable as BTF"
        "The header is too short, has another magic number or an unknown version. The magic number is 0xeB9F; its byte \
         order tells that of the whole file. Make sure that this is a .BTF section and not the file it was taken from."
        UAPI;
    OBSOLETE "BT002" Warning "obsolete form of inline BTF"
        "The section has the form that was proposed in April 2025: a header like BTF's, then tables of instances and \
         of location expressions, no types and no strings. No released tool reads it and kernels do not know it, so it \
         is recognised and not decoded. Generate it again in the form of the 2026 series."
        "RFC of April 2025: list inline expansions in .BTF.inline";
    HEADER_WORDS "BT003" Error "header has fields that no reader knows"
        "The flags are not 0, the header's length is none that has a meaning (24, 32), or bytes of the header beyond \
         those known are not 0. Kernels refuse such a header, since it may change what the rest means."
        HEADER;
    OUTSIDE "BT004" Error "section outside the file"
        "A section that the header names begins or ends beyond the bytes that are there. The file was cut off, or its \
         header is damaged."
        HEADER;
    GAPS "BT005" Error "sections overlap or leave a gap"
        "Types, layout and strings must follow each other without a gap and without sharing bytes, and nothing may \
         come after the last. Kernels refuse anything else, as it could hide data."
        HEADER;
    STRINGS_LAST "BT006" Error "strings are not the last section"
        "With a header of 24 bytes the string section ends the file."
        HEADER;
    ALIGNMENT "BT007" Error "section is not aligned"
        "The type section and the layout section begin at a multiple of 4, and the layout section is a multiple of 4 \
         long."
        HEADER;
    LAYOUT_ENTRY "BT008" Error "layout entry contradicts the kind"
        "A layout entry says how long types of a kind are. This one says something else than the kind's definition, \
         so a reader that trusts it loses its way."
        LAYOUT;
    LAYOUT_MISSING "BT009" Warning "kind without a layout entry"
        "The layout section has no entry for a kind that the file uses. Readers that do not know the kind cannot skip \
         it, which is what the section is for."
        LAYOUT;
    STRING_SECTION "BT010" Error "string section is not as it must be"
        "Every string section ends with a NUL: a string without an end would be read past the section."
        KERNEL;
    WALK "BT011" Error "type section cannot be walked to its end"
        "A type is of a kind that is not known and that no layout entry tells the length of, or its elements would go \
         beyond the section. Where the next type begins is then unknown, so no later type can be looked at."
        KERNEL;
    NO_TYPES "BT012" Error "no types"
        "BTF that is not split must have types: kernels refuse it otherwise. A split file may be empty."
        KERNEL;
    UNKNOWN_KIND "BT013" Warning "kind is not known"
        "The type was skipped according to its layout entry. Nothing of it was checked."
        LAYOUT;
    INFO_BITS "BT014" Error "info word has bits that must be 0"
        "The file is in the narrow grammar, whose info word has 16 bits of count and 5 of kind. The others must be 0."
        KERNEL;
    BASE_ORDER "BT015" Error "base has the other byte order"
        "A split file and its base must have the same byte order. Give the base that it was made with."
        OURS;
    WRONG_BASE "BT016" Warning "names begin inside strings of the base"
        "Names of a split file point into the middle of its base's strings. A writer would point at their beginnings, \
         so this base is most likely not the one the file was made with."
        OURS;
    NO_BASE "BT017" Error "base is missing"
        "The strings of BTF that stands on nothing begin with a NUL, the empty name. Here they do not, so the file is \
         split and stands on another, which was not given: a module's BTF on that of vmlinux, inline BTF on the main \
         BTF. Its types cannot be looked at alone. Name what it stands on with --base."
        KERNEL;
    NAME_OFFSET "BT020" Error "name outside the strings"
        "The offset lies beyond the last string of the chain, or the string there has no end. In a split file this \
         also comes from the wrong base."
        KERNEL;
    NAME_MISSING "BT021" Error "name is missing"
        "Types of this kind, and values of an enumeration, must have a name."
        KERNEL;
    NAME_EXTRA "BT022" Error "name where none may be"
        "Types of this kind have no name: the offset must be 0."
        KERNEL;
    IDENTIFIER "BT023" Error "name is not an identifier"
        "Kernels accept letters, digits (not first), `_` and `.`, and fewer than 512 characters."
        KERNEL;
    SECTION_NAME "BT024" Error "name is not a section name"
        "The name of a DATASEC or LOCSEC consists of printable ASCII characters, fewer than 512."
        KERNEL;
    NO_SUCH_TYPE "BT030" Error "type id beyond the last type"
        "The type refers to an id that neither this file nor its bases have. In a split file this also comes from the \
         wrong base."
        KERNEL;
    VOID "BT031" Error "void where a type must be"
        "Id 0 is void. An element, index, member, variable or tagged type cannot be void."
        KERNEL;
    WRONG_KIND "BT032" Error "refers to a type of the wrong kind"
        "A FUNC refers to a FUNC_PROTO, a DATASEC to VARs, a DECL_TAG to a STRUCT, UNION, FUNC, VAR or TYPEDEF. \
         Nothing but a DATASEC, DECL_TAG or LOCSEC refers to a VAR or FUNC, and nothing to a DATASEC or DECL_TAG."
        KERNEL;
    KIND_FLAG "BT033" Error "kind flag where it means nothing"
        "The top bit of the info word has a meaning for STRUCT, UNION, ENUM, ENUM64, FWD and the tags only."
        KERNEL;
    COUNT "BT034" Error "count where there are no elements"
        "Types of this kind have no elements: the count must be 0."
        KERNEL;
    THIRD_WORD "BT035" Error "size or type where there is none"
        "An ARRAY and a FWD use neither: the word must be 0."
        KERNEL;
    LIMITS "BT036" Warning "beyond what kernels number"
        "The kernel's header has allowed type ids up to 0xfffff and string offsets up to 0xffffff; later ones may allow \
         more."
        UAPI;
    CHAIN_LOOP "BT037" Error "pointers and modifiers go in a circle"
        "Following PTR, TYPEDEF, CONST, VOLATILE, RESTRICT and TYPE_TAG must end at another kind. Here it comes back \
         to where it began."
        KERNEL;
    CONTAINS_ITSELF "BT038" Error "type contains itself"
        "A STRUCT, UNION or ARRAY contains itself other than through a pointer, so it would be infinitely large."
        KERNEL;
    NO_SIZE "BT039" Error "type without a size where one is needed"
        "An element, member, variable or returned value must have a size. A FWD, FUNC_PROTO or FUNC has none."
        KERNEL;
    INT_WORD "BT040" Error "integer is not as it can be"
        "An INT's encoding is none or one of SIGNED, CHAR and BOOL, its unused bits are 0, and its bits are at most \
         128 and fit its size."
        KERNEL;
    FLOAT_SIZE "BT041" Error "no size of a floating-point number"
        "A FLOAT has 2, 4, 8, 12 or 16 bytes, which are the sizes that some machine has."
        KERNEL;
    ENUM_SIZE "BT042" Error "no size of an enumeration"
        "An ENUM has 1, 2, 4 or 8 bytes; so has an ENUM64."
        KERNEL;
    ARRAY_INDEX "BT043" Error "array is not indexed by an integer"
        "The index of an ARRAY is an INT, possibly behind modifiers."
        KERNEL;
    ARRAY_SIZE "BT044" Error "array is larger than 4 GiB"
        "The size of all elements together does not fit 32 bits."
        KERNEL;
    MEMBER_OUTSIDE "BT045" Error "member goes beyond the structure"
        "The member's last bit lies beyond the size of its STRUCT or UNION."
        KERNEL;
    MEMBER_ORDER "BT046" Error "members are not in order"
        "Offsets of a STRUCT's members never fall; those of a UNION are 0."
        KERNEL;
    BIT_FIELD "BT047" Error "bit field is not as it can be"
        "A bit field is an integer or enumeration and not wider than that. What is no bit field begins at a whole \
         byte."
        KERNEL;
    LINKAGE "BT048" Error "unknown linkage"
        "A FUNC and a VAR are static (0), global (1) or extern (2)."
        KERNEL;
    PARAM_NAME "BT049" Warning "parameter of a function has no name"
        "Kernels want names for all parameters of a FUNC in a program's BTF. In a kernel's own it only hurts those \
         who read it."
        KERNEL;
    VARIADIC "BT050" Error "`...` is not the last parameter"
        "A parameter of type void means `...`: it comes last and has no name."
        KERNEL;
    SECTION_VARS "BT052" Error "variables of a section overlap or lie outside"
        "Variables of a DATASEC have a size, rise without sharing bytes and end inside the section, whose size is \
         not 0."
        KERNEL;
    VAR_SIZE "BT053" Error "variable is smaller than its type"
        "A DATASEC gives the variable fewer bytes than its type has."
        KERNEL;
    COMPONENT "BT054" Error "tag is about a component that is not there"
        "A DECL_TAG's index is -1 for the whole, or names a member of a STRUCT or UNION or a parameter of a FUNC."
        KERNEL;
    TAG_ORDER "BT055" Warning "type tag comes after modifiers"
        "Kernels look for TYPE_TAGs right behind a pointer, before CONST and the like, and refuse program BTF that \
         has them elsewhere."
        KERNEL;
    NOT_LAID_OUT "BT056" Warning "section is not laid out yet"
        "The DATASEC has size 0 and all offsets are 0, as compilers write them in BPF objects: libbpf fixes this up \
         at load, kernels refuse it."
        OURS;
    LOADER_RESOLVES "BT057" Warning "extern of a BPF object"
        "A DATASEC lists an extern FUNC (a kfunc), or an extern VAR has no complete type: libbpf fixes this up at \
         load, kernels refuse it."
        OURS;
    INLINE_HEAD "BT060" Error "head of an inline kind is not as it must be"
        "LOC_PARAM, LOC_PROTO and LOCSEC have no kind flag; LOC_PROTO and LOCSEC have 0 as their third word."
        INLINE;
    PARAM_SIZE "BT061" Error "size of a location is not 1 to 16"
        "The size of a LOC_PARAM is that of the parameter, 1 to 16 bytes."
        INLINE;
    PARAM_FLAGS "BT062" Error "flags of a location do not go together"
        "The flag sets are CONST [ADDR] [SIGNED], REG, REG|DEREF and REG|OFFSET [DEREF] [SIGNED]."
        INLINE;
    PARAM_VALUES "BT063" Error "number of values does not fit the flags"
        "CONST has 1 or 2 values (and a size of at most 8; 2 values where it is more than 4), REG 1 or 2 (a pair of \
         registers), REG|DEREF 1, REG|OFFSET 2 or 3."
        INLINE;
    PROTO_PARAM "BT064" Error "LOC_PROTO refers to no LOC_PARAM"
        "Each entry of a LOC_PROTO is 0, for a parameter that is not available, or a LOC_PARAM."
        INLINE;
    SITE_FUNC "BT065" Error "site refers to no function"
        "A site's function is a FUNC whose type is a FUNC_PROTO (form (iii)), or a FUNC_PROTO (form (ii))."
        INLINE;
    SITE_PROTO "BT066" Error "site refers to no LOC_PROTO"
        "Every site has a LOC_PROTO, also one whose parameters are all unavailable."
        INLINE;
    SITE_COUNT "BT067" Error "site has another number of parameters than its function"
        "The LOC_PROTO of a site has one entry for each parameter of the function, a variadic one's `...` included."
        INLINE;
    SITE_ORDER "BT068" Warning "sites are not sorted"
        "Sites of a LOCSEC rise by function, offset and LOC_PROTO, so that those of a function can be found by \
         bisection."
        OURS;
    SITE_TWICE "BT069" Warning "site is there twice"
        "Two entries of a LOCSEC have the same function, offset and LOC_PROTO: one says nothing that the other does \
         not."
        OURS;
    SITE_OUTSIDE "BT070" Error "site lies outside its section"
        "The offset of a site is not inside the ELF section that its LOCSEC is named after."
        OURS;
    SITE_SECTION "BT071" Warning "LOCSEC is named after no section"
        "The ELF file has no section of this name (nor after `inline`), so the sites cannot be placed."
        OURS;
    TWICE "BT072" Warning "location is there twice"
        "LOC_PARAMs and LOC_PROTOs are to be shared: an equal one is there already."
        OURS;
    NAME_ORDER "BT073" Warning "types are not sorted by name"
        "Types without a name come first and the others rise by name, so that kernels can find them by bisection."
        INLINE;
    OLD_PARAM "BT080" Error "location of the older form is not as it must be"
        "A LOC_PARAM of form (ii) has a size of 1 to 16 bytes (negative when signed; a constant at most 8) and no \
         flags but DEREF and CONTINUE."
        OLD;
    OLD_SITE_NAME "BT081" Error "site of the older form has no name"
        "A site of form (ii) names its function itself, by an identifier."
        OLD;
}

#[cfg(test)]
mod tests {
    use super::RULES;

    #[test]
    fn codes_rise_and_everything_is_said() {
        assert!(RULES.iter().map(|rule| rule.code).is_sorted_by(|a, b| a < b));
        for rule in RULES {
            assert!(rule.code.len() == 5 && rule.code.starts_with("BT"), "{}", rule.code);
            assert!(rule.explanation.len() > 40 && rule.explanation.ends_with('.'), "{}", rule.code);
            assert!(!rule.title.ends_with('.') && !rule.source.is_empty(), "{}", rule.code);
        }
    }
}
