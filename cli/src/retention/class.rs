//! `nemeses device class`: which retention class a device is in.

use clap::Args;
use nemeses_protocol::Identity;
use nemeses_store::history::{DEFAULT_RETENTION, Profile, Retention};
use serde_json::json;

use crate::args::DatabaseArgs;
use crate::tools::{OutputArgs, device_to_be, names, open_database, print, print_json};

/// `nemeses device class`.
#[derive(Debug, Args)]
pub(crate) struct ClassArgs {
    /// The device: six hex digits such as 0A3F73, or a name such as host:web1
    device: Identity,
    /// The class, one of those that keep-classes gives a period, or default
    class: Option<String>,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    output: OutputArgs,
}

/// Shows or changes a device's class.
///
/// # Errors
/// A class that there is not, or what the database reports.
pub(crate) async fn class(args: ClassArgs, now_ms: u64) -> anyhow::Result<()> {
    let database = open_database(&args.database).await?;
    let device = device_to_be(&database, &args.device, now_ms).await?;
    let profile = database.devices().find(device).await?;
    let mut profile = profile.unwrap_or_else(|| Profile::new(device, now_ms));
    if let Some(class) = args.class {
        must_be_known(database.retention().as_ref(), &class).await?;
        profile = Profile { retention: class, updated_at_ms: now_ms, ..profile };
        database.devices().put(&profile).await?;
    }
    let (device, class) = (names(&database).await?.identity(device), &profile.retention);
    if args.output.json {
        print_json(&json!({ "device_id": device.to_string(), "retention": class }))
    } else {
        print(&format!("{device} is in the retention class {class}.\n"))
    }
}

async fn must_be_known(retention: &dyn Retention, class: &str) -> anyhow::Result<()> {
    let mut known = vec![DEFAULT_RETENTION.to_owned()];
    known.extend(retention.noted_classes().await?.into_iter().map(|noted| noted.class));
    known.extend(retention.classes().await?.into_iter().map(|named| named.class));
    known.sort_unstable();
    known.dedup();
    anyhow::ensure!(
        known.iter().any(|name| name == class),
        "there is no retention class '{class}'; there are: {}. The setting keep-classes of the processes that look after retention makes them",
        known.join(", ")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use nemeses_store::history::{NotedClass, Options, open};

    use super::*;

    #[tokio::test]
    async fn only_a_class_that_there_is_will_do() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("n.db").display());
        let database = open(&url, Options::default()).await.unwrap();
        database.history().migrate().await.unwrap();
        let retention = database.retention();
        must_be_known(retention.as_ref(), "default").await.unwrap();
        let error = must_be_known(retention.as_ref(), "law").await.unwrap_err();
        assert!(error.to_string().contains("there are: default."), "{error}");
        let law = NotedClass { class: "law".to_owned(), keep_s: None };
        retention.note_classes(&[law]).await.unwrap();
        must_be_known(retention.as_ref(), "law").await.unwrap();
    }
}
