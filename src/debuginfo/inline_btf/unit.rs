//! A single pass over the entries of a unit: its functions, its sites and what
//! the sites record about their parameters. Everything else is skipped.

use super::attribute::{constant, is_c, is_type, number, sibling, widened};
use super::base_types::BaseTypes;
use super::dwarf::{Debug, Error, Slice, Unit, reference};
use super::location::Missing;
pub use super::site::{
    Die, Extent, FrameBase, Function, Owner, Param, Place, ShortExpression, Site, SiteParam, Skip, Skipped,
};
use super::types::{Extra, Facts, Types};
use super::{EmptyRanges, Options};
use gimli::{Abbreviation, AttributeValue, Encoding, Endianity, EntriesRaw, UnitHeader, UnitOffset, constants as dw};
use std::collections::HashMap;

/// Contents of a unit.
#[derive(Debug)]
pub struct Scan<'d> {
    /// Where its entries begin and end in `.debug_info`.
    pub span: (u64, u64),
    /// How it is written.
    pub encoding: Encoding,
    /// Where its indexed addresses are.
    pub addr_base: gimli::DebugAddrBase,
    /// By offset.
    pub functions: Vec<Function<'d>>,
    /// By function.
    pub params: Vec<Param<'d>>,
    /// By offset.
    pub sites: Vec<Site>,
    /// By site.
    pub site_params: Vec<SiteParam<'d>>,
    /// Locations of parameters at the entry of functions, by the parameter's offset; only where they were asked for.
    pub entry_places: HashMap<Die, Place<'d>>,
    /// Types that the base does not have.
    pub extras: Vec<Extra<'d>>,
    /// How many DW_TAG_inlined_subroutine there are.
    pub seen: u64,
    /// Those of them that are no sites.
    pub skipped: Skipped,
    /// The file with its entries, where it is only the skeleton of split DWARF; empty if that has no name.
    pub dwo: Option<&'d [u8]>,
    /// Why its end was not reached.
    pub damaged: Option<gimli::Error>,
    /// Type chains that were cut.
    pub cut: u64,
}

impl<'d> Scan<'d> {
    fn new(span: (u64, u64), encoding: Encoding) -> Self {
        Self {
            span,
            encoding,
            addr_base: gimli::DebugAddrBase(0),
            functions: Vec::new(),
            params: Vec::new(),
            sites: Vec::new(),
            site_params: Vec::new(),
            entry_places: HashMap::new(),
            extras: Vec::new(),
            seen: 0,
            skipped: Skipped::default(),
            dwo: None,
            damaged: None,
            cut: 0,
        }
    }

    /// Returns the function at an offset.
    #[must_use]
    pub fn function_at(&self, die: Die) -> Option<u32> {
        let found = self.functions.binary_search_by_key(&die, |function| function.die).ok()?;
        u32::try_from(found).ok()
    }

    /// Returns the parameters of a function.
    #[must_use]
    pub fn params_of(&self, function: &Function<'_>) -> &[Param<'d>] {
        let start = function.first_param as usize;
        self.params.get(start..start.saturating_add(function.param_count as usize)).unwrap_or_default()
    }

    /// Parameters of a site.
    #[must_use]
    pub fn params_at(&self, site: &Site) -> &[SiteParam<'d>] {
        let start = site.first_param as usize;
        self.site_params.get(start..start.saturating_add(site.param_count as usize)).unwrap_or_default()
    }
}

/// Scans a unit.
pub fn scan<'d, E: Endianity + Send + Sync>(
    debug: &Debug<'d, E>,
    known: &BaseTypes<'_>,
    header: &UnitHeader<Slice<'d, E>>,
    options: Options,
) -> Result<Scan<'d>, Error> {
    let start = header.debug_info_offset().map_or(0, |offset| offset.0) as u64;
    let mut found = Scan::new((start, start + header.length_including_self() as u64), header.encoding());
    let (unit, language) = match debug.unit(header) {
        Ok(opened) => opened,
        Err(why) => {
            found.damaged = Some(why);
            return Ok(found);
        }
    };
    found.addr_base = unit.addr_base;
    found.dwo = debug.dwo_name(&unit);
    if found.dwo.is_some() {
        return Ok(found);
    }
    let counted_only = !options.with_rust && language == Some(dw::DW_LANG_Rust);
    // Elsewhere methods are declared in their types.
    let types_have_code = !language.is_some_and(is_c);
    let mut pass = Pass { debug, unit: &unit, found, scopes: Vec::new(), spent: 0, options, types_have_code };
    let outcome = if counted_only { pass.count() } else { pass.walk() };
    debug.spend(pass.spent)?;
    let mut found = pass.found;
    found.damaged = outcome.err();
    if !counted_only {
        describe(&mut found, debug, known, &unit);
    }
    Ok(found)
}

// Parameters by function, then their types and those of what functions return.
fn describe<'d, E: Endianity + Send + Sync>(
    found: &mut Scan<'d>,
    debug: &Debug<'d, E>,
    known: &BaseTypes<'_>,
    unit: &Unit<'d, E>,
) {
    // Functions nested in others come between the others' parameters.
    found.params.sort_by_key(|param| param.function);
    for (index, param) in found.params.iter().enumerate() {
        if let Some(function) = found.functions.get_mut(param.function as usize) {
            if function.param_count == 0 {
                function.first_param = index as u32;
            }
            function.param_count += 1;
        }
    }
    let mut types = Types::new(debug, known);
    let mut at = |die: Die| if die == 0 { Facts::default() } else { types.at(u64::from(die), unit) };
    for function in found.functions.iter_mut().filter(|function| function.origin == 0 || function.specified) {
        function.returns = at(function.returns_die).id;
    }
    for param in &mut found.params {
        param.facts = at(param.type_die);
    }
    found.cut = types.cut;
    found.extras = types.into_extras();
    found.functions.shrink_to_fit();
    found.params.shrink_to_fit();
    found.sites.shrink_to_fit();
    found.site_params.shrink_to_fit();
}

#[derive(Clone, Copy)]
enum Scope {
    Function(u32),
    Site(u32),
    Other,
}

struct Pass<'p, 'd, E: Endianity> {
    debug: &'p Debug<'d, E>,
    unit: &'p Unit<'d, E>,
    found: Scan<'d>,
    // The direct parent of the entries here, and the nearest function or site around them.
    scopes: Vec<(Scope, Owner)>,
    spent: i64,
    options: Options,
    // Whether functions may be declared below types.
    types_have_code: bool,
}

type Walk<'a, 'd, E> = EntriesRaw<'a, Slice<'d, E>>;

impl<'p, 'd, E: Endianity + Send + Sync> Pass<'p, 'd, E> {
    fn count(&mut self) -> gimli::Result<()> {
        let unit = self.unit;
        let mut entries = unit.entries_raw(None)?;
        while !entries.is_empty() {
            if let Some(abbreviation) = entries.read_abbreviation()? {
                if abbreviation.tag() == dw::DW_TAG_inlined_subroutine {
                    self.found.seen += 1;
                    self.found.skipped.add(Skip::Language);
                }
                entries.skip_attributes(abbreviation.attributes())?;
            }
        }
        Ok(())
    }

    fn walk(&mut self) -> gimli::Result<()> {
        let unit = self.unit;
        let mut entries = unit.entries_raw(None)?;
        while !entries.is_empty() {
            let offset = entries.next_offset();
            let Some(abbreviation) = entries.read_abbreviation()? else {
                self.scopes.pop();
                continue;
            };
            let (above, owner) = self.scopes.last().copied().unwrap_or((Scope::Other, Owner::None));
            let (scope, owner) = match (abbreviation.tag(), above) {
                (dw::DW_TAG_inlined_subroutine, _) => self.site(&mut entries, abbreviation, offset, owner)?,
                (dw::DW_TAG_subprogram, _) => self.function(&mut entries, abbreviation, offset)?,
                (dw::DW_TAG_formal_parameter, Scope::Site(site)) => {
                    self.site_param(&mut entries, abbreviation, site)?;
                    (Scope::Other, owner)
                }
                (dw::DW_TAG_formal_parameter, Scope::Function(function)) => {
                    self.param(&mut entries, abbreviation, offset, function)?;
                    (Scope::Other, owner)
                }
                (dw::DW_TAG_unspecified_parameters, Scope::Function(function)) => {
                    if let Some(function) = self.found.functions.get_mut(function as usize) {
                        function.variadic = true;
                    }
                    entries.skip_attributes(abbreviation.attributes())?;
                    (Scope::Other, owner)
                }
                (tag, _) if abbreviation.has_children() && is_type(tag) && !self.types_have_code => {
                    if let Some(after) = sibling(&mut entries, abbreviation)? {
                        // Backwards would be a loop, and what is out of bounds is a lie.
                        if after > entries.next_offset() && after.is_in_bounds(&unit.header) {
                            entries = unit.entries_raw(Some(after))?;
                            continue;
                        }
                    }
                    (Scope::Other, owner)
                }
                _ => {
                    entries.skip_attributes(abbreviation.attributes())?;
                    (Scope::Other, owner)
                }
            };
            if abbreviation.has_children() {
                self.scopes.push((scope, owner));
            }
        }
        Ok(())
    }

    fn die(&self, offset: UnitOffset) -> Die {
        let start = self.unit.header.debug_info_offset().map_or(0, |start| start.0);
        // The section is shorter than 4 GiB: Debug::open saw to it.
        u32::try_from(start + offset.0).unwrap_or(0)
    }

    fn refer(&self, value: AttributeValue<Slice<'d, E>>) -> Die {
        reference(self.unit, value).and_then(|offset| u32::try_from(offset).ok()).unwrap_or(0)
    }

    fn address(&self, value: AttributeValue<Slice<'d, E>>) -> Option<u64> {
        self.debug.dwarf.attr_address(self.unit, value).ok().flatten()
    }

    fn function(
        &mut self,
        entries: &mut Walk<'p, 'd, E>,
        abbreviation: &Abbreviation,
        offset: UnitOffset,
    ) -> gimli::Result<(Scope, Owner)> {
        let mut function = Function { die: self.die(offset), ..Function::default() };
        let mut ranges = None;
        for spec in abbreviation.attributes() {
            let attribute = entries.read_attribute(*spec)?;
            match attribute.name() {
                dw::DW_AT_name => function.name = self.debug.text(self.unit, attribute.value()),
                dw::DW_AT_linkage_name | dw::DW_AT_MIPS_linkage_name => {
                    function.linkage_name = self.debug.text(self.unit, attribute.value());
                }
                dw::DW_AT_abstract_origin => {
                    function.origin = self.refer(attribute.value());
                    function.specified = false;
                }
                dw::DW_AT_specification if function.origin == 0 => {
                    function.origin = self.refer(attribute.value());
                    function.specified = true;
                }
                dw::DW_AT_type => function.returns_die = self.refer(attribute.value()),
                dw::DW_AT_external => function.external = attribute.value() == AttributeValue::Flag(true),
                dw::DW_AT_low_pc => {
                    function.address = self.address(attribute.value()).unwrap_or(0);
                    function.has_code |= function.address != 0;
                }
                dw::DW_AT_ranges => {
                    function.has_code = true;
                    ranges = Some(attribute.value());
                }
                dw::DW_AT_frame_base => function.frame_base = frame_base(&attribute.value()),
                _ => {}
            }
        }
        // Listed first is the part that is called; a cold part may be at a lower address.
        if let (0, Some(ranges)) = (function.address, ranges) {
            function.address = self.ranges(ranges).map_or(0, |extent| extent.first);
        }
        let index = self.found.functions.len() as u32;
        self.found.functions.push(function);
        Ok((Scope::Function(index), Owner::Function(index)))
    }

    fn param(
        &mut self,
        entries: &mut Walk<'p, 'd, E>,
        abbreviation: &Abbreviation,
        offset: UnitOffset,
        function: u32,
    ) -> gimli::Result<()> {
        let mut param = Param { die: self.die(offset), function, ..Param::default() };
        let (mut value, mut location) = (None, None);
        for spec in abbreviation.attributes() {
            let attribute = entries.read_attribute(*spec)?;
            match attribute.name() {
                dw::DW_AT_name => param.name = self.debug.text(self.unit, attribute.value()),
                dw::DW_AT_abstract_origin => param.origin = self.refer(attribute.value()),
                dw::DW_AT_type => param.type_die = self.refer(attribute.value()),
                dw::DW_AT_const_value => value = Some(attribute),
                dw::DW_AT_location => location = Some(attribute.value()),
                _ => {}
            }
        }
        let code = self.found.functions.get(function as usize).map_or(0, |function| function.address);
        if self.options.entry_locations && code != 0 {
            let place = self.place_of(value.as_ref(), location, code);
            self.found.entry_places.insert(param.die, place);
        }
        self.found.params.push(param);
        Ok(())
    }

    fn site(
        &mut self,
        entries: &mut Walk<'p, 'd, E>,
        abbreviation: &Abbreviation,
        offset: UnitOffset,
        owner: Owner,
    ) -> gimli::Result<(Scope, Owner)> {
        let mut raw = RawSite::default();
        for spec in abbreviation.attributes() {
            let attribute = entries.read_attribute(*spec)?;
            let value = attribute.value();
            match attribute.name() {
                dw::DW_AT_abstract_origin => raw.origin = Some(self.refer(value)),
                dw::DW_AT_low_pc => raw.low = Some(value),
                dw::DW_AT_high_pc => raw.high = Some(value),
                dw::DW_AT_entry_pc => raw.entry = Some(value),
                dw::DW_AT_ranges => raw.ranges = Some(value),
                dw::DW_AT_call_file => raw.file = number(value),
                dw::DW_AT_call_line => raw.line = number(value),
                _ => {}
            }
        }
        self.found.seen += 1;
        match self.placed(&raw, self.die(offset), owner) {
            Ok(site) => {
                let index = self.found.sites.len() as u32;
                self.found.sites.push(site);
                Ok((Scope::Site(index), Owner::Site(index)))
            }
            Err(reason) => {
                self.found.skipped.add(reason);
                // Functions inlined into it are inlined into its container too.
                Ok((Scope::Other, owner))
            }
        }
    }

    fn placed(&mut self, raw: &RawSite<'d, E>, die: Die, owner: Owner) -> Result<Site, Skip> {
        let low = raw.low.and_then(|value| self.address(value));
        let extent = match raw.ranges {
            Some(value) => self.ranges(value),
            None => low.map(|low| {
                let high = raw.high.map_or(low, |value| match value {
                    AttributeValue::Addr(_) | AttributeValue::DebugAddrIndex(_) => self.address(value).unwrap_or(low),
                    value => value.udata_value().map_or(low, |len| low.saturating_add(len)),
                });
                Extent { first: low, low, high, ranges: u32::from(high > low) }
            }),
        };
        let start = low.or(extent.map(|extent| extent.low));
        let entry = raw.entry.and_then(|value| match value {
            AttributeValue::Addr(_) | AttributeValue::DebugAddrIndex(_) => self.address(value),
            // DWARF 5 allows an offset from the entity's own base.
            value => start.zip(value.udata_value()).map(|(start, offset)| start.wrapping_add(offset)),
        });
        let pc = entry.or(start).ok_or(Skip::NoAddress)?;
        if pc == 0 {
            return Err(Skip::ZeroAddress);
        }
        let origin = raw.origin.ok_or(Skip::NoOrigin)?;
        let extent = extent.unwrap_or(Extent { first: pc, low: pc, high: pc, ranges: 0 });
        let first_param = self.found.site_params.len() as u32;
        let (file, line) = (raw.file, raw.line);
        Ok(Site { die, origin, pc, has_entry: entry.is_some(), extent, owner, file, line, first_param, param_count: 0 })
    }

    fn ranges(&mut self, value: AttributeValue<Slice<'d, E>>) -> Option<Extent> {
        let mut list = self.debug.dwarf.attr_ranges(self.unit, value).ok()??;
        let mut found: Option<Extent> = None;
        while let Ok(Some(range)) = list.next() {
            self.spent += 1;
            // A list of a unit alone may use up what all may: the caller then gives up.
            if self.spent > MOST_SPENT {
                break;
            }
            if range.begin >= range.end {
                continue;
            }
            let extent =
                found.get_or_insert(Extent { first: range.begin, low: range.begin, high: range.end, ranges: 0 });
            extent.low = extent.low.min(range.begin);
            extent.high = extent.high.max(range.end);
            extent.ranges = extent.ranges.saturating_add(1);
        }
        found
    }

    fn site_param(
        &mut self,
        entries: &mut Walk<'p, 'd, E>,
        abbreviation: &Abbreviation,
        site: u32,
    ) -> gimli::Result<()> {
        let (mut origin, mut value, mut location) = (0, None, None);
        for spec in abbreviation.attributes() {
            let attribute = entries.read_attribute(*spec)?;
            match attribute.name() {
                dw::DW_AT_abstract_origin => origin = self.refer(attribute.value()),
                dw::DW_AT_const_value => value = Some(attribute),
                dw::DW_AT_location => location = Some(attribute.value()),
                _ => {}
            }
        }
        let pc = self.found.sites.get(site as usize).map_or(0, |site| site.pc);
        let place = self.place_of(value.as_ref(), location, pc);
        if let Some(site) = self.found.sites.get_mut(site as usize) {
            // Parameters of a site nested in this one come after all of its own, unless
            // a file lies: then what follows the nested one cannot be kept apart.
            if (site.first_param + site.param_count) as usize == self.found.site_params.len() {
                site.param_count += 1;
            } else if site.param_count == 0 {
                site.first_param = self.found.site_params.len() as u32;
                site.param_count = 1;
            } else {
                return Ok(());
            }
            self.found.site_params.push(SiteParam { origin, place });
        }
        Ok(())
    }

    fn place_of(
        &mut self,
        value: Option<&gimli::Attribute<Slice<'d, E>>>,
        location: Option<AttributeValue<Slice<'d, E>>>,
        pc: u64,
    ) -> Place<'d> {
        match (value, location) {
            (Some(value), _) => constant(value),
            (None, Some(location)) => self.place(location, pc),
            (None, None) => Place::Missing(Missing::NoLocation),
        }
    }

    fn place(&mut self, location: AttributeValue<Slice<'d, E>>, pc: u64) -> Place<'d> {
        if let AttributeValue::Exprloc(expression) = location {
            return Place::of_expression(expression.0.slice());
        }
        // DWARF 4 and before: a block is an expression.
        if let AttributeValue::Block(block) = location {
            return Place::of_expression(block.slice());
        }
        let Ok(Some(mut list)) = self.debug.dwarf.attr_locations(self.unit, location) else {
            return Place::Missing(Missing::Damaged);
        };
        let (mut empty, mut covering) = (None, None);
        loop {
            self.spent += 1;
            if self.spent > MOST_SPENT {
                return Place::Missing(Missing::Damaged);
            }
            let raw = match list.next_raw() {
                Ok(Some(raw)) => raw,
                Ok(None) => break,
                Err(_) => return Place::Missing(Missing::Damaged),
            };
            let (raw, is_empty) = widened(raw);
            match list.convert_raw(raw) {
                Ok(Some(entry)) if is_empty && entry.range.begin == pc => {
                    empty.get_or_insert(entry.data.0.slice());
                }
                Ok(Some(entry)) if !is_empty && entry.range.begin <= pc && pc < entry.range.end => {
                    covering.get_or_insert(entry.data.0.slice());
                    if self.options.empty_ranges != EmptyRanges::Prefer {
                        break;
                    }
                }
                Ok(_) => {}
                Err(_) => return Place::Missing(Missing::Damaged),
            }
        }
        match (covering, empty, self.options.empty_ranges) {
            (_, Some(expression), EmptyRanges::Prefer) => Place::of_expression(expression),
            (Some(expression), _, _) => Place::of_expression(expression),
            (None, Some(expression), EmptyRanges::Accept) => Place::of_expression(expression),
            (None, Some(_), EmptyRanges::Ignore) => Place::Missing(Missing::EmptyRange),
            (None, None, _) => Place::Missing(Missing::NotCovered),
        }
    }
}

// GCC writes DW_OP_call_frame_cfa, clang a register.
fn frame_base<E: Endianity>(value: &AttributeValue<Slice<'_, E>>) -> FrameBase {
    let bytes = match value {
        AttributeValue::Exprloc(expression) => expression.0.slice(),
        AttributeValue::Block(block) => block.slice(),
        _ => return FrameBase::Other,
    };
    match bytes {
        [0x9c] => FrameBase::Cfa,
        [register @ 0x50..=0x6f] => FrameBase::Register(u32::from(register - 0x50)),
        _ => FrameBase::Other,
    }
}

/// List entries that one unit may look at.
const MOST_SPENT: i64 = 1 << 26;

struct RawSite<'d, E: Endianity> {
    origin: Option<Die>,
    low: Option<AttributeValue<Slice<'d, E>>>,
    high: Option<AttributeValue<Slice<'d, E>>>,
    entry: Option<AttributeValue<Slice<'d, E>>>,
    ranges: Option<AttributeValue<Slice<'d, E>>>,
    file: u32,
    line: u32,
}

impl<E: Endianity> Default for RawSite<'_, E> {
    fn default() -> Self {
        Self { origin: None, low: None, high: None, entry: None, ranges: None, file: 0, line: 0 }
    }
}
