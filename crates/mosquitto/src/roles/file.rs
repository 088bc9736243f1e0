//! The plugin's file: a plan carried out on its JSON, which keeps everything that
//! is not ours, and the file replaced in one step.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::{Map, Value, json};

use super::plan::{Key, Step};
use super::present::ENCODED_SECRET;
use super::wanted::{DEFAULT_ACCESS, Right, Rights};

/// The file holds hashes of secrets: for its owner alone.
const MODE: u32 = 0o600;

/// Reads the file; nothing when it is not there or empty.
///
/// # Errors
/// It cannot be read or is no JSON.
pub(super) fn read(path: &Path) -> anyhow::Result<Value> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| cannot("read", path)),
    };
    if text.trim().is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_str(&text).with_context(|| cannot("understood", path))
}

/// Carries out the steps.
pub(super) fn carry_out(file: &mut Value, steps: &[Step]) {
    for step in steps {
        carry_out_one(file, step);
    }
}

fn carry_out_one(file: &mut Value, step: &Step) {
    match step {
        Step::SetDefaults => {
            let defaults = DEFAULT_ACCESS.map(|(kind, allow)| (kind.to_owned(), json!(allow)));
            file["defaultACLAccess"] = Value::Object(defaults.into_iter().collect());
        }
        Step::CreateRole { role, rights } => entries(file, "roles").push(json!({
            "rolename": role,
            "acls": acls(rights),
        })),
        Step::ModifyRole { role, rights } => {
            on(file, "roles", "rolename", role, |held| {
                held.insert("acls".to_owned(), acls(rights));
            });
        }
        Step::DeleteRole { role } => {
            remove(entries(file, "roles"), "rolename", role);
            for holder in ["clients", "groups"] {
                for entry in entries(file, holder) {
                    remove(entries(entry, "roles"), "rolename", role);
                }
            }
        }
        Step::DeleteClient { client } => {
            remove(entries(file, "clients"), "username", client);
            for group in entries(file, "groups") {
                remove(entries(group, "clients"), "username", client);
            }
        }
        Step::CreateClient { client, role, key, mark } => {
            let mut made = Map::new();
            made.insert("username".to_owned(), json!(client));
            made.insert("roles".to_owned(), json!([{ "rolename": role }]));
            set_secret(&mut made, key, mark);
            entries(file, "clients").push(Value::Object(made));
        }
        Step::SetSecret { client, key, mark } => {
            on_client(file, client, |held| set_secret(held, key, mark));
        }
        Step::AddRole { client, role } => on_client(file, client, |held| {
            let roles = held.entry("roles").or_insert_with(|| json!([]));
            if let Some(roles) = roles.as_array_mut() {
                roles.push(json!({ "rolename": role }));
            }
        }),
        Step::RemoveRole { client, role } => on_client(file, client, |held| {
            if let Some(roles) = held.get_mut("roles").and_then(Value::as_array_mut) {
                remove(roles, "rolename", role);
            }
        }),
        Step::Enable { client } => on_client(file, client, |held| {
            held.remove("disabled");
        }),
        Step::Disable { client } => on_client(file, client, |held| {
            held.insert("disabled".to_owned(), json!(true));
        }),
    }
}

fn set_secret(client: &mut Map<String, Value>, key: &Key, mark: &str) {
    // Plain secrets go to a broker; a plan for the file has hashes.
    let Key::Hash(secret) = key else { return };
    let fields = [
        ("textdescription", json!(mark)),
        ("password", json!(secret.hash)),
        ("salt", json!(secret.salt)),
        ("iterations", json!(secret.iterations)),
    ];
    // It would go before the others in Mosquitto 2.1.
    client.remove(ENCODED_SECRET);
    client.extend(fields.map(|(name, value)| (name.to_owned(), value)));
}

fn acls(rights: &Rights) -> Value {
    rights.iter().map(Right::as_json).collect()
}

/// The list of this name, made when it is missing. `Present` has checked that it
/// is a list where it matters; another thing in its place is left alone.
fn entries<'a>(holder: &'a mut Value, list: &str) -> &'a mut Vec<Value> {
    if !holder[list].is_array() {
        holder[list] = json!([]);
    }
    match &mut holder[list] {
        Value::Array(entries) => entries,
        _ => unreachable!("made a list above"),
    }
}

fn is_named(entry: &Value, key: &str, name: &str) -> bool {
    entry.get(key).and_then(Value::as_str) == Some(name)
}

fn remove(entries: &mut Vec<Value>, key: &str, name: &str) {
    entries.retain(|entry| !is_named(entry, key, name));
}

fn on_client(file: &mut Value, name: &str, change: impl FnOnce(&mut Map<String, Value>)) {
    on(file, "clients", "username", name, change);
}

fn on(
    file: &mut Value,
    list: &str,
    key: &str,
    name: &str,
    change: impl FnOnce(&mut Map<String, Value>),
) {
    let entry = entries(file, list).iter_mut().find(|entry| is_named(entry, key, name));
    if let Some(entry) = entry.and_then(Value::as_object_mut) {
        change(entry);
    }
}

/// Replaces the file in one step, for its owner alone. The owner stays: the
/// broker must be able to read it, whoever writes it.
///
/// # Errors
/// It cannot be written, or its owner cannot be kept.
pub(super) fn replace(path: &Path, content: &Value) -> anyhow::Result<()> {
    // A link stays a link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let before = fs::metadata(&path).ok();
    let beside = beside(&path);
    let written = write(&beside, content, before.as_ref())
        .and_then(|()| Ok(fs::rename(&beside, &path)?))
        .and_then(|()| sync_folder(&path));
    if written.is_err() {
        // The error is what matters; a file left behind is only litter.
        let _ = fs::remove_file(&beside);
    }
    written.with_context(|| cannot("written", &path))
}

/// Makes a file whose content may stay readable for its owner alone.
///
/// # Errors
/// It is not ours to change.
pub(super) fn close_to_others(path: &Path) -> anyhow::Result<()> {
    let Ok(held) = fs::metadata(path) else { return Ok(()) };
    if held.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(MODE))
            .with_context(|| cannot("closed to others", path))?;
    }
    Ok(())
}

fn write(path: &Path, content: &Value, before: Option<&fs::Metadata>) -> anyhow::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    if let Some(before) = before {
        let ours = file.metadata()?;
        if (ours.uid(), ours.gid()) != (before.uid(), before.gid()) {
            fchown(&file, Some(before.uid()), Some(before.gid()))
                .context("its owner cannot be kept; run this as its owner or as root")?;
        }
    }
    file.write_all(format!("{content:#}\n").as_bytes())?;
    file.sync_all()?;
    Ok(())
}

fn sync_folder(path: &Path) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    Ok(())
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    path.with_file_name(name)
}

fn cannot(what: &str, path: &Path) -> String {
    format!("the file {} cannot be {what}", path.display())
}

#[cfg(test)]
mod tests;
