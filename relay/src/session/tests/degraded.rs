//! Who comes while the relay is not as it should be hears so at once.

use serde_json::json;

use super::rig::Rig;
use crate::resilience::{Level, Standing};

#[tokio::test(start_paused = true)]
async fn what_works_less_is_told_behind_welcome() {
    let rig = Rig::new(&[]).await;
    rig.standing.send_replace(Standing { level: Level::Down, reduced: vec!["topics"] });
    let mut client = rig.join("acme/bob").await;
    let told = client.hear_kind("degraded").await;
    assert_eq!(told, json!({"type": "degraded", "level": 2, "reduced": ["topics"]}));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_told_while_everything_works() {
    let rig = Rig::new(&[]).await;
    let mut client = rig.join("acme/bob").await;
    client.say(r#"{"type":"ping","id":2}"#).await;
    assert_eq!(client.hear().await, json!({"type": "pong", "id": 2}));
}
