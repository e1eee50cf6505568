//! Users, keys and roles of the seeded account.

use serde_json::{Value, json};

use super::account::{EXTERNAL_ID, Ids};
use super::moto::Service;
use super::principals::text;
use super::{Cloud, Credentials};

/// What the member account's user had under the name of our own policy before: laid out by hand, and hard to quote.
pub const OF_BEFORE: &str = "{\n  \"Statement\":  {\n\t\"Effect\": \"Deny\", \"Action\": \"s3:Delete*\", \"Resource\": \"*\",\n\
    \t\"Condition\": {\"StringNotEquals\": {\"aws:PrincipalTag/team\": \"o'neill\u{e9}\"}}},\n\
    \"Version\": \"2012-10-17\"}\n";

/// Creates them in both accounts.
pub async fn seed(cloud: &Cloud, ids: &mut Ids) {
    let iam = cloud.moto().service("iam", &cloud.account_id);
    seed_users(&iam, ids).await;
    seed_roles(&iam, &cloud.account_id, ids).await;
    seed_member(cloud, ids).await;
}

async fn seed_users(iam: &Service, ids: &mut Ids) {
    ids.note("AIDACKCEVSQ6C2EXAMPLE", &user(iam, "ann").await);
    ids.note_key("AKIAIOSFODNN7EXAMPLE", key(iam, "ann").await);
    ids.note_key("AKIAI44QH8DHBEXAMPLE", key(iam, "ann").await);
    let reads = allow(&json!("s3:GetObject")).to_string();
    iam.call("PutUserPolicy", &[("UserName", "ann"), ("PolicyName", "reads-reports"), ("PolicyDocument", &reads)])
        .await;
    let policy = iam.call("CreatePolicy", &[("PolicyName", "developer"), ("PolicyDocument", &reads)]).await;
    let arn = text(&policy["Policy"], "Arn");
    iam.call("AttachUserPolicy", &[("UserName", "ann"), ("PolicyArn", &arn)]).await;
    iam.call("CreateGroup", &[("GroupName", "developers")]).await;
    iam.call("AddUserToGroup", &[("GroupName", "developers"), ("UserName", "ann")]).await;

    ids.note("AIDAQUELLBUILDEXAMPLE", &user(iam, "build-pipeline").await);
    ids.note_key("AKIAQUELLBUILDEXAMPL", key(iam, "build-pipeline").await);

    ids.note("AIDAQUELLMALLEXAMPLE", &user(iam, "mallory").await);
    let revoked = key(iam, "mallory").await;
    let off = [("UserName", "mallory"), ("AccessKeyId", revoked.key.as_str()), ("Status", "Inactive")];
    iam.call("UpdateAccessKey", &off).await;
    ids.note_key("AKIAQUELLMALLEXAMPLE", revoked);
}

async fn seed_roles(iam: &Service, account: &str, ids: &mut Ids) {
    let root = format!("arn:aws:iam::{account}:root");
    let host = json!({"Service": "ec2.amazonaws.com", "AWS": root});
    ids.note("AROADBQP57FF2AEXAMPLE", &role(iam, "/", "web-server", &trust(&host)).await);
    let reads = allow(&json!("s3:GetObject")).to_string();
    let policy = [("RoleName", "web-server"), ("PolicyName", "reads-assets"), ("PolicyDocument", reads.as_str())];
    iam.call("PutRolePolicy", &policy).await;
    iam.call("CreateInstanceProfile", &[("InstanceProfileName", "web-server")]).await;
    let profile = [("InstanceProfileName", "web-server"), ("RoleName", "web-server")];
    iam.call("AddRoleToInstanceProfile", &profile).await;

    let lambda = trust(&json!({"Service": "lambda.amazonaws.com"}));
    ids.note("AROAQUELLSELFEXAMPLE", &role(iam, "/", "quell-function", &lambda).await);

    let path = "/aws-reserved/sso.amazonaws.com/eu-west-1/";
    let provider =
        json!({"Federated": format!("arn:aws:iam::{account}:saml-provider/AWSSSO_0123456789abcdef_DO_NOT_DELETE")});
    let sso = role(iam, path, "AWSReservedSSO_AdministratorAccess_0123456789abcdef", &trust(&provider)).await;
    ids.note("AROAQUELLSSOEXAMPLE", &sso);
    // AWS refuses reserved paths to everyone but itself; moto does not, and also lets such roles be changed.
    let ecs = trust(&json!({"Service": "ecs.amazonaws.com"}));
    role(iam, "/aws-service-role/ecs.amazonaws.com/", "AWSServiceRoleForECS", &ecs).await;
}

async fn seed_member(cloud: &Cloud, ids: &mut Ids) {
    let iam = cloud.moto().service("iam", &cloud.member_id);
    ids.note("AIDAQUELLMEMBEREXAMP", &user(&iam, "deploy").await);
    ids.note_key("AKIAQUELLMEMBEREXAMP", key(&iam, "deploy").await);
    let policy = [("UserName", "deploy"), ("PolicyName", "QuellQuarantine"), ("PolicyDocument", OF_BEFORE)];
    iam.call("PutUserPolicy", &policy).await;
    let quell = format!("arn:aws:iam::{}:role/quell-function", cloud.account_id);
    let mut document = trust(&json!({"AWS": quell}));
    document["Statement"][0]["Condition"] = json!({"StringEquals": {"sts:ExternalId": EXTERNAL_ID}});
    role(&iam, "/", "QuellMember", &document).await;
}

/// Creates a user and gives its unique id.
async fn user(iam: &Service, name: &str) -> String {
    text(&iam.call("CreateUser", &[("UserName", name)]).await["User"], "UserId")
}

async fn key(iam: &Service, user: &str) -> Credentials {
    Credentials::from(&iam.call("CreateAccessKey", &[("UserName", user)]).await["AccessKey"])
}

/// Creates a role and gives its unique id.
async fn role(iam: &Service, path: &str, name: &str, trust: &Value) -> String {
    let trust = trust.to_string();
    let parameters = [("Path", path), ("RoleName", name), ("AssumeRolePolicyDocument", trust.as_str())];
    text(&iam.call("CreateRole", &parameters).await["Role"], "RoleId")
}

fn trust(principal: &Value) -> Value {
    let statement = json!({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"});
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

fn allow(action: &Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]})
}
