use super::*;

const SHORT: &str = "50F70A3F73025EFCF950156F017D784000008CA0B8003C013026A1029E72BD73C4";
const LONG: &str = "50F70A3F73025EFCF950156F017D784000008CA0F80084003C013026A1029E72BD73C4";
const PING: &str = "50F70A3F730150494E4773C4";

#[test]
fn vectors() {
    let mut all = hex::decode([SHORT, LONG, PING].concat()).unwrap();
    all.push(0);
    let items: alloc::vec::Vec<_> = frames(&all).collect();
    assert_eq!(items.len(), 4, "{items:?}");
}
