//! The top-level modules of each crate import each other in one direction: there are no circles.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context, Result};
use local::functions::workspace;

use crate::links::files;

/// For each top-level module, the top-level modules that it imports.
type Imports = BTreeMap<String, BTreeSet<String>>;

/// The source without comments, and without the tests at its end.
fn code(text: &str) -> String {
    let is_test = |rest: &str| rest.lines().next().is_some_and(|line| line.ends_with('{'));
    let end = text.match_indices("#[cfg(test)]\n").find(|(at, mark)| is_test(&text[at + mark.len()..]));
    let text = &text[..end.map_or(text.len(), |(at, _)| at)];
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// The name at the beginning of a path.
fn first(path: &str) -> &str {
    path.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default()
}

/// The first names of what follows `crate::`: one path, or paths in braces.
fn names(rest: &str) -> Vec<&str> {
    let Some(list) = rest.strip_prefix('{') else { return vec![first(rest)] };
    let (mut depth, mut names) = (0, vec![first(list.trim_start())]);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(first(list[at + 1..].trim_start())),
            _ => {}
        }
    }
    names
}

fn imports(crate_folder: &Path) -> Result<Imports> {
    let mut imports = Imports::new();
    for file in files(crate_folder, &[".rs"])? {
        let path = file.strip_prefix(crate_folder)?.with_extension("");
        let parts: Vec<_> = path.iter().filter_map(|part| part.to_str()).collect();
        // Folders with a dash are crates of their own.
        if parts.iter().any(|part| matches!(*part, "tests" | "bin" | "lib" | "main") || part.contains('-')) {
            continue;
        }
        let mut code = code(&fs::read_to_string(&file)?);
        if let [_] | [_, "mod"] = parts[..] {
            code = code.replace("super::", "crate::");
        }
        let module = (*parts.first().context("a module")?).to_owned();
        let named = code.split("crate::").skip(1).flat_map(names).filter(|name| *name != module);
        imports.entry(module.clone()).or_default().extend(named.map(str::to_owned));
    }
    Ok(imports)
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
    for folder in ["functions", "local", "cli"] {
        let imports = imports(&workspace().join(folder))?;
        let count: usize = imports.values().map(BTreeSet::len).sum();
        assert!(count > 20, "{folder}: only {count} imports were found");
        let circles = circles(imports);
        assert!(circles.is_empty(), "{folder}: {circles:?}");
    }
    Ok(())
}
