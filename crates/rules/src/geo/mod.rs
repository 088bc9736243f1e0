//! Geofences: shapes on the globe from GeoJSON, and an index of many of them.

mod geojson;
mod index;
mod point;
mod ring;
mod segment;
mod shape;

pub use geojson::{MAX_FENCE_POINTS, MAX_METRES, MIN_METRES};
pub use index::FenceIndex;
pub use point::Point;
pub use shape::Fence;
