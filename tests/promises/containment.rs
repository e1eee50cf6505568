//! A real finding comes in; the resource is contained.

use crate::stage::{CONTAIN, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn explore() {
    for event in std::env::var("EVENTS").unwrap_or_default().split(',') {
        let stage = Stage::set_with(CONTAIN, &[("QUELL_MEMBER_ROLE", "QuellMember"), ("QUELL_MEMBER_EXTERNAL_ID", crate::cloud::EXTERNAL_ID)]).await;
        println!("== {event}");
        for line in stage.tell(event).await { println!("{line}"); }
        for call in stage.cloud.calls() { println!("   {:?} {:?} {} {:?} {:?}", call.start, call.end, call.action(), call.status, call.error); }
        println!("{}", stage.email());
        for line in stage.lambda.logs().function { println!("   log {line}"); }
    }
}
