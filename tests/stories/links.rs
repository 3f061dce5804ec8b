//! Links between this repository's pages resolve, and so do references to pages in code and templates.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Component, Path, PathBuf},
};

use anyhow::{Context, Result};
use local::functions::workspace;

/// Directories that are built, downloaded or kept by tools.
const NOT_OURS: [&str; 5] = ["target", ".git", ".aws-sam", "__pycache__", "corpus"];

/// All files below a folder with these extensions.
pub(crate) fn files(folder: &Path, endings: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !NOT_OURS.contains(&name) {
            found.extend(files(&path, endings)?);
        } else if path.is_file() && endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
    Ok(found)
}

/// The page without blocks of code and code within lines.
fn prose(page: &str) -> String {
    let mut text = String::new();
    let mut is_code = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        } else if !is_code {
            text.extend(line.split('`').step_by(2));
            text.push('\n');
        }
    }
    text
}

/// The targets of the page's links, except those to other sites.
fn links(page: &str) -> Vec<String> {
    let text = prose(page);
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split([')', ' ', '\n']).next());
    let is_elsewhere = |target: &&str| target.contains("://") || target.starts_with("mailto:");
    targets.filter(|target| !is_elsewhere(target)).map(str::to_owned).collect()
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(page: &str) -> BTreeSet<String> {
    let mut seen = BTreeMap::<String, usize>::new();
    let mut is_code = false;
    let mut anchors = BTreeSet::new();
    for line in page.lines() {
        is_code ^= line.trim_start().starts_with("```");
        let heading = line.trim_start_matches('#');
        if is_code || heading == line || !heading.starts_with(' ') {
            continue;
        }
        let is_kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let slug: String = heading.trim().to_lowercase().chars().filter(is_kept).collect();
        let slug = slug.replace(' ', "-");
        let again = seen.entry(slug.clone()).and_modify(|times| *times += 1).or_default();
        anchors.insert(if *again == 0 { slug } else { format!("{slug}-{again}") });
    }
    anchors
}

/// A path without `.` and `..`.
fn resolved(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut resolved, component| {
        match component {
            Component::ParentDir => drop(resolved.pop()),
            Component::CurDir => {}
            other => resolved.push(other),
        }
        resolved
    })
}

/// Why a link of a page does not resolve.
fn broken(from: &Path, link: &str) -> Option<String> {
    let (path, anchor) = link.split_once('#').map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let folder = from.parent().unwrap_or(Path::new(""));
    let target = if path.is_empty() { from.to_owned() } else { resolved(&folder.join(path)) };
    if !target.starts_with(workspace()) || !target.exists() {
        return Some(format!("{}: {link}: there is no such file", from.display()));
    }
    let anchor = anchor?;
    let text = fs::read_to_string(&target).unwrap_or_default();
    let has_anchor =
        target.extension().is_some_and(|ending| ending == "md") && anchors(&text).contains(anchor);
    (!has_anchor).then(|| format!("{}: {link}: there is no such heading", from.display()))
}

#[test]
fn no_link_between_pages_is_dead() -> Result<()> {
    let (mut dead, mut count) = (Vec::new(), 0);
    for page in files(&workspace(), &[".md"])? {
        for link in links(&fs::read_to_string(&page)?) {
            count += 1;
            dead.extend(broken(&page, &link));
        }
    }
    assert!(dead.is_empty(), "{}", dead.join("\n"));
    assert!(count > 100, "only {count} links were found");
    Ok(())
}

/// Every page of `docs/` can be reached from the README.
#[test]
fn no_page_is_out_of_reach() -> Result<()> {
    let mut reached = BTreeSet::new();
    let mut next = vec![workspace().join("README.md")];
    while let Some(page) = next.pop() {
        if reached.insert(page.clone()) {
            let folder = page.parent().context("a folder")?;
            let links = links(&fs::read_to_string(&page)?);
            let pages =
                links.iter().filter_map(|link| link.split('#').next().filter(|it| it.ends_with(".md")));
            next.extend(pages.map(|link| resolved(&folder.join(link))));
        }
    }
    for page in files(&workspace().join("docs"), &[".md"])? {
        assert!(reached.contains(&page), "nothing links to {}", page.display());
    }
    Ok(())
}

#[test]
fn every_page_that_code_names_exists() -> Result<()> {
    let endings = [".rs", ".toml", ".yaml", ".yml", ".py", ".tf", "run"];
    for file in files(&workspace(), &endings)? {
        let text = fs::read_to_string(&file)?;
        for (before, rest) in text.match_indices("docs/").map(|(at, _)| text.split_at(at)) {
            let name: String =
                rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_./".contains(*c)).collect();
            // Pages of other sites have docs/ in their addresses, and sentences end with a full stop.
            let is_ours = !before.ends_with(['/', '.', '-']) || before.ends_with("../");
            if let Some(name) = name.strip_suffix(".md").filter(|_| is_ours) {
                let page = workspace().join(format!("{name}.md"));
                assert!(page.exists(), "{} names {name}.md", file.display());
            }
        }
    }
    Ok(())
}
