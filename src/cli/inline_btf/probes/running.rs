//! The inline BTF and the symbols of the running kernel.

use super::{Format, Found, Probes, accepts, of_btf, sound};
use crate::base::Diagnostic;
use crate::cli::inline_btf::open;
use crate::cli::{CliError, exit};
use crate::debuginfo::btf::Btf;
use crate::debuginfo::btf::validate::Context;
use crate::debuginfo::inline_btf::probes::Image;
use std::path::Path;

/// Reads `/sys/kernel/btf` and `/proc/kallsyms`.
pub fn read(command: &Probes, format: Format) -> Result<Found, CliError> {
    let root = &command.running_root;
    let module = command.module.as_deref();
    let path = |name: &str| root.join("sys/kernel/btf").join(name);
    let own = path(module.unwrap_or("vmlinux"));
    let inline = path(&format!("{}.inline", module.unwrap_or("vmlinux")));
    if !inline.exists() {
        let message = format!("unsupported: the running kernel has no {}", inline.display());
        let problem = Diagnostic::new(message)
            .hint("released kernels do not have it yet: give the kernel's vmlinux with debug information instead of `--running`")
            .hint("`--notes /sys/kernel/notes` then checks that it is the same build");
        return Err(CliError::new(exit::FAILED, problem));
    }
    let image = image(root, module)?;
    let shown = "the running kernel";
    accepts(&image, format, shown)?;
    let kernel = open(&path("vmlinux"))?;
    let of_module = module.map(|_| open(&own)).transpose()?;
    let sites = open(&inline)?;
    let fail =
        |error: crate::debuginfo::btf::Error| CliError::usage(format!("cannot read the BTF of {shown}: {error}"));
    let mut base = Btf::parse(kernel.bytes(), None).map_err(fail)?;
    if let Some(input) = &of_module {
        base = Btf::parse(input.bytes(), Some(&base)).map_err(fail)?;
    }
    let context = Context { sections: None, pointer: Some(image.address_size()) };
    let btf = sound(sites.bytes(), Some(&base), &context, &inline.display().to_string(), shown)?;
    let functions = of_btf(&btf, &command.names, &image, shown)?;
    Ok((image, functions))
}

fn image(root: &Path, module: Option<&str>) -> Result<Image, CliError> {
    let Some((machine, address_size)) = crate::debuginfo::elf::own_machine() else {
        let message = format!("unsupported: the names of the registers of {} are not known", std::env::consts::ARCH);
        return Err(CliError::new(exit::FAILED, Diagnostic::new(message)));
    };
    let path = root.join("proc/kallsyms");
    let text = fs_err::read_to_string(&path).map_err(|error| CliError::usage(error.to_string()))?;
    let image = Image::of_kallsyms(&text, machine, address_size, module);
    let mut image = image.map_err(|error| CliError::usage(format!("{}: {error}", path.display())))?;
    if let Some(module) = module {
        let dir = root.join("sys/module").join(module).join("sections");
        let listed = fs_err::read_dir(&dir).map_err(|error| CliError::usage(error.to_string()))?;
        for entry in listed {
            let entry = entry?;
            let text = fs_err::read_to_string(entry.path())?;
            let address = text.trim().strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok());
            if let Some((name, address)) = entry.file_name().into_string().ok().zip(address) {
                image.add_section(&name, address);
            }
        }
    }
    Ok(image)
}
