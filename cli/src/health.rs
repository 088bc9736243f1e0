//! `nemeses health`: asks a station of this machine whether it is well, for
//! health checks where no other client is at hand (an image without a shell).

use clap::Args;

use crate::status::ask::get;
use crate::tools::print;

pub(crate) const EXAMPLES: &str = "\
Examples:
  nemeses health                          a node, or a container with NEMESES_HEALTH_URL set
  nemeses health http://127.0.0.1:5000/readyz
  nemeses health http://127.0.0.1:18000/healthz";

/// `nemeses health`.
#[derive(Debug, Args)]
pub(crate) struct HealthArgs {
    /// The address to ask, http://HOST:PORT/PATH; 200 means healthy
    #[arg(
        env = "NEMESES_HEALTH_URL",
        default_value = "http://127.0.0.1:9180/healthz",
        value_name = "URL"
    )]
    url: String,
}

/// Asks; `true` when the station is well.
///
/// # Errors
/// A wrong address, or no answer.
pub(crate) async fn run(args: &HealthArgs) -> anyhow::Result<bool> {
    let (status, _) = get(&args.url).await?;
    print(&format!("{} answers {status}\n", args.url))?;
    Ok(status == 200)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn well_is_200_and_nothing_else() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/healthz", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            for answer in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 503 x\r\n\r\n", "SSH-2.0-x\r\n"] {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut request = Vec::new();
                // What is left unread would cut the answer off.
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.unwrap());
                }
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        let args = HealthArgs { url };
        assert!(run(&args).await.unwrap());
        assert!(!run(&args).await.unwrap());
        run(&args).await.unwrap_err();
        server.await.unwrap();
        assert!(format!("{:#}", run(&args).await.unwrap_err()).contains("is not well"));
    }
}
