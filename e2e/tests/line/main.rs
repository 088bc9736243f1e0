//! The whole line against real servers. What must hold in every shape of the
//! line is written once and run in each.

#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod ailing;
mod bridged;
mod canaries;
mod commands;
mod described;
mod device_commands;
mod device_kills;
mod devices;
mod documented;
mod field;
mod founding;
mod frames;
mod grpc;
mod hazards;
mod imports;
mod interop;
mod live;
mod logins;
mod mapped;
mod newest;
mod old_formats;
mod posting;
mod process;
mod proxied;
mod readings;
mod refused;
mod scale;
mod silent;
mod simulated_kills;
mod strangers;
mod traced;
mod unknown;

/// Runs `async fn scenario(line: Line)` of the surrounding module in each shape.
macro_rules! in_every_shape {
    ($($scenario:ident),+ $(,)?) => {
        $(mod $scenario {
            use nemeses_e2e::{Line, Shape};

            #[tokio::test]
            async fn embedded() {
                super::$scenario(Line::start(Shape::Embedded, &[]).await.unwrap()).await;
            }

            #[tokio::test]
            async fn node_on_servers() {
                super::$scenario(Line::start(Shape::NodeOnServers, &[]).await.unwrap()).await;
            }

            #[tokio::test]
            async fn node_on_mysql() {
                if Shape::NodeOnMySql.is_here() {
                    super::$scenario(Line::start(Shape::NodeOnMySql, &[]).await.unwrap()).await;
                }
            }

            #[tokio::test]
            async fn stations() {
                super::$scenario(Line::start(Shape::Stations, &[]).await.unwrap()).await;
            }

            #[tokio::test]
            async fn stations_on_mysql() {
                if Shape::StationsOnMySql.is_here() {
                    super::$scenario(Line::start(Shape::StationsOnMySql, &[]).await.unwrap()).await;
                }
            }
        })+
    };
}
pub(crate) use in_every_shape;
