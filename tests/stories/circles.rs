//! The modules of each folder import each other in one direction: there are no circles. A module and its children may use each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::Result;
use local::functions::workspace;

use crate::links::files;

/// The modules of one folder, each with the modules of that folder that it imports.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// A module's path in its crate: `["consumer", "drain"]`.
type ModulePath<'a> = Vec<&'a str>;

/// The only path against the direction. A webhook may be read unverified only for a preview. So only that module can make a `Peek`, and
/// the function that reads such a webhook takes one.
const EXCEPT: [&str; 3] = ["ingest", "preview", "Peek"];

/// The source without comments, and without the tests at its end.
fn code(text: &str) -> String {
    let is_test = |rest: &str| rest.lines().next().is_some_and(|line| line.ends_with('{'));
    let end = text.match_indices("#[cfg(test)]\n").find(|(at, mark)| is_test(&text[at + mark.len()..]));
    let text = &text[..end.map_or(text.len(), |(at, _)| at)];
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The paths that a `use` tree stands for, and what comes after it: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn tree(text: &str) -> (Vec<ModulePath<'_>>, &str) {
    let text = text.trim_start();
    if let Some(mut rest) = text.strip_prefix('{') {
        let mut all = Vec::new();
        loop {
            let (paths, after) = tree(rest);
            all.extend(paths);
            let after = after.trim_start();
            match after.strip_prefix(',') {
                Some(after) => rest = after,
                None => return (all, after.strip_prefix('}').unwrap_or(after)),
            }
        }
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    match rest.strip_prefix("::") {
        Some(rest) => {
            let (paths, rest) = tree(rest);
            (paths.into_iter().map(|path| [vec![name], path].concat()).collect(), rest)
        }
        None => (vec![vec![name]], rest),
    }
}

/// All paths in the code of a module that begin at the crate or at one of the modules around it, from the crate.
fn named<'a>(code: &'a str, module: &[&'a str]) -> Vec<ModulePath<'a>> {
    let mut all = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("::") {
        let (before, after) = (&rest[..at], &rest[at + 2..]);
        rest = after;
        let begins = |word: &str| {
            before.strip_suffix(word).is_some_and(|before| {
                !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
            })
        };
        let mut around = if begins("crate") {
            Vec::new()
        } else if begins("super") {
            module[..module.len().saturating_sub(1)].to_vec()
        } else {
            continue;
        };
        while let Some(after) = rest.strip_prefix("super::") {
            around.pop();
            rest = after;
        }
        all.extend(tree(rest).0.into_iter().map(|path| [around.clone(), path].concat()));
    }
    all
}

/// The imports of all folders of a crate, by the folder's path.
fn imports(crate_folder: &Path) -> Result<BTreeMap<String, Imports>> {
    let mut folders = BTreeMap::<String, Imports>::new();
    for file in files(crate_folder, &[".rs"])? {
        let path = file.strip_prefix(crate_folder)?.with_extension("");
        let mut module: Vec<_> = path.iter().filter_map(|part| part.to_str()).collect();
        // Folders with a dash are crates of their own.
        if module.iter().any(|part| matches!(*part, "tests" | "bin" | "lib" | "main") || part.contains('-')) {
            continue;
        }
        if module.last() == Some(&"mod") {
            module.pop();
        }
        let code = code(&fs::read_to_string(&file)?);
        for depth in 0..module.len() {
            folders
                .entry(module[..depth].join("::"))
                .or_default()
                .entry(module[depth].to_owned())
                .or_default();
        }
        for path in named(&code, &module).into_iter().filter(|path| *path != EXCEPT) {
            let depth = module.iter().zip(&path).take_while(|(one, other)| one == other).count();
            if let (Some(from), Some(to)) = (module.get(depth), path.get(depth)) {
                let folder = folders.entry(module[..depth].join("::")).or_default();
                folder.entry((*from).to_owned()).or_default().insert((*to).to_owned());
            }
        }
    }
    Ok(folders)
}

/// The circles, and what is between them: what is left after removing, again and again, every module that imports none of the others or
/// that none of the others imports.
fn circles(mut imports: Imports) -> Imports {
    loop {
        let before = imports.len();
        let left: BTreeSet<_> = imports.keys().cloned().collect();
        imports.values_mut().for_each(|named| named.retain(|name| left.contains(name)));
        imports.retain(|_, named| !named.is_empty());
        let imported: BTreeSet<_> = imports.values().flatten().cloned().collect();
        imports.retain(|module, _| imported.contains(module));
        if imports.len() == before {
            return imports;
        }
    }
}

#[test]
fn no_modules_import_each_other_in_a_circle() -> Result<()> {
    for crate_folder in ["functions", "local", "cli"] {
        let folders = imports(&workspace().join(crate_folder))?;
        let count: usize = folders.values().flat_map(BTreeMap::values).map(BTreeSet::len).sum();
        assert!(count > 50, "{crate_folder}: only {count} imports were found");
        let circles = folders.into_iter().map(|(folder, imports)| (folder, circles(imports)));
        let circles: Vec<_> = circles.filter(|(_, circles)| !circles.is_empty()).collect();
        assert!(circles.is_empty(), "{crate_folder}: {circles:#?}");
    }
    Ok(())
}

#[test]
fn imports_are_found_however_they_are_written() {
    let code = "use super::{Worker, a::{B, c::D}};\nuse crate::x::Y;\nfn f() { super::super::z::g(); mycrate::no(); }";
    let found: Vec<_> = named(code, &["consumer", "run"]).iter().map(|path| path.join("::")).collect();
    assert_eq!(found, ["consumer::Worker", "consumer::a::B", "consumer::a::c::D", "x::Y", "z::g"]);
}
