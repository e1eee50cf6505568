//! Quell's own table and switch, as the template makes them.

use super::{Cloud, REGION};
use http_body_util::Full;
use hyper::Request;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};

/// The table's name in every emulated account.
pub const TABLE: &str = "quell-ledger";

/// The table's shape, as `CreateTable` and the template have it.
pub fn ledger_table() -> Value {
    let key = |name: &str, kind: &str| json!({ "AttributeName": name, "KeyType": kind });
    let attribute = |name: &str| json!({ "AttributeName": name, "AttributeType": "S" });
    let attributes: Vec<_> = ["pk", "sk", "due_bucket", "due_at"].into_iter().map(attribute).collect();
    json!({
        "TableName": TABLE,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": attributes,
        "KeySchema": [key("pk", "HASH"), key("sk", "RANGE")],
        "GlobalSecondaryIndexes": [{
            "IndexName": "due",
            "KeySchema": [key("due_bucket", "HASH"), key("due_at", "RANGE")],
            "Projection": { "ProjectionType": "KEYS_ONLY" },
        }],
    })
}

/// Creates the table past the proxy. moto has no deletion protection and no point-in-time recovery that matter here.
pub async fn create(cloud: &Cloud) {
    ask(cloud, "dynamodb", "DynamoDB_20120810.CreateTable", &ledger_table()).await;
}

impl Cloud {
    /// Empties the ledger, as if Quell had never done anything.
    pub async fn forget_ledger(&self) {
        ask(self, "dynamodb", "DynamoDB_20120810.DeleteTable", &json!({ "TableName": TABLE })).await;
        create(self).await;
    }

    /// Puts a record's item into the ledger as it is, past the proxy. An incident of which something is due has the time.
    pub async fn put_in_ledger(&self, key: &str, body: &Value, due: Option<&str>) {
        let version = body["version"].as_u64().unwrap_or(1).to_string();
        let mut item = json!({
            "pk": { "S": key }, "sk": { "S": "record" }, "version": { "N": version }, "chunks": { "N": "0" },
            "body": { "S": body.to_string() }, "status": { "S": "open" },
        });
        if let Some(due) = due {
            item["due_bucket"] = json!({ "S": "due" });
            item["due_at"] = json!({ "S": due });
        }
        ask(self, "dynamodb", "DynamoDB_20120810.PutItem", &json!({ "TableName": TABLE, "Item": item })).await;
    }

    /// Sets an SSM parameter of the main account, past the proxy.
    pub async fn set_parameter(&self, name: &str, value: &str) {
        let parameter = json!({ "Name": name, "Value": value, "Type": "String", "Overwrite": true });
        ask(self, "ssm", "AmazonSSM.PutParameter", &parameter).await;
    }
}

/// Asks moto for something by a protocol of JSON, in the name of the main account.
async fn ask(cloud: &Cloud, service: &str, target: &str, body: &Value) {
    let scope = format!("AKIAQUELLOUTSIDEVIEW/20260101/{REGION}/{service}/aws4_request");
    let request = Request::post("/")
        .header(AUTHORIZATION, format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none"))
        .header(CONTENT_TYPE, "application/x-amz-json-1.1")
        .header("x-amz-target", target)
        .body(Full::from(body.to_string()))
        .expect("a well-formed request");
    let answer = cloud.moto().forward(&cloud.account_id, request).await;
    assert!(answer.status().is_success(), "{}", String::from_utf8_lossy(answer.body()));
}
