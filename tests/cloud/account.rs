//! The seeded account: what findings are about, under ids that moto chooses.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};

use super::{Cloud, Credentials, REGION, hosts, identities, ledger};

/// The ids that event files use, and what each stands for.
///
/// The main account is 111122223333 and the member 444455556666, both in eu-west-1.
pub const FIXED: &[(&str, &str)] = &[
    ("111122223333", "the main account, where Quell runs"),
    ("444455556666", "the member account"),
    ("AIDACKCEVSQ6C2EXAMPLE", "user ann"),
    ("AKIAIOSFODNN7EXAMPLE", "first key of ann"),
    ("AKIAI44QH8DHBEXAMPLE", "second key of ann"),
    ("AIDAQUELLBUILDEXAMPLE", "user build-pipeline"),
    ("AKIAQUELLBUILDEXAMPL", "key of build-pipeline"),
    ("AIDAQUELLMALLEXAMPLE", "user mallory"),
    ("AKIAQUELLMALLEXAMPLE", "key of mallory, inactive"),
    ("AIDAQUELLMEMBEREXAMP", "member: user deploy"),
    ("AKIAQUELLMEMBEREXAMP", "member: key of deploy"),
    ("AROADBQP57FF2AEXAMPLE", "role web-server"),
    ("ASIAIOSFODNN7EXAMPLE", "session of web-server that carries the name of instance web"),
    ("AROAQUELLSELFEXAMPLE", "role quell-function, Quell's own"),
    ("AROAQUELLSSOEXAMPLE", "role AWSReservedSSO_AdministratorAccess_0123456789abcdef"),
    ("vpc-0a1b2c3d4e5f60010", "VPC A"),
    ("vpc-0a1b2c3d4e5f60011", "VPC B"),
    ("subnet-0a1b2c3d4e5f60020", "first subnet of VPC A"),
    ("subnet-0a1b2c3d4e5f60021", "second subnet of VPC A"),
    ("subnet-0a1b2c3d4e5f60022", "subnet of VPC B"),
    ("sg-0a1b2c3d4e5f60030", "group web"),
    ("sg-0a1b2c3d4e5f60031", "group admin"),
    ("i-0a1b2c3d4e5f60718", "instance web, 10.0.1.10"),
    ("eni-0a1b2c3d4e5f60001", "web in the first subnet: group web; has an IPv6 address"),
    ("eni-0a1b2c3d4e5f60002", "web in the second subnet: groups web and admin"),
    ("eni-0a1b2c3d4e5f60003", "web in VPC B"),
    ("sg-0b1b2c3d4e5f60030", "group ssh-world, which only bastion has"),
    ("i-0b1b2c3d4e5f60718", "instance bastion, 10.0.1.20"),
    ("eni-0b1b2c3d4e5f60001", "bastion's interface"),
    ("sg-0c1b2c3d4e5f60030", "group batch, which batch and batch-spare share"),
    ("i-0c1b2c3d4e5f60718", "instance batch, 10.0.1.30"),
    ("eni-0c1b2c3d4e5f60001", "batch's interface"),
    ("vpc-0d1b2c3d4e5f60010", "member: its VPC"),
    ("subnet-0d1b2c3d4e5f60020", "member: its subnet"),
    ("sg-0d1b2c3d4e5f60030", "member: group member"),
    ("i-0d1b2c3d4e5f60718", "member: instance member, 10.9.1.10"),
    ("eni-0d1b2c3d4e5f60001", "member: its interface"),
];

/// What the trust policy of the member's role asks for.
pub const EXTERNAL_ID: &str = "quell-emulated";

/// The real ids and credentials behind the fixed ids.
pub struct Account {
    /// What the Lambda runs with: a session of the role `quell-function`.
    pub function: Credentials,
    ids: BTreeMap<&'static str, String>,
    credentials: BTreeMap<&'static str, Credentials>,
}

impl Account {
    /// Creates everything in both accounts of the cloud.
    pub async fn seed(cloud: &Cloud) -> Account {
        let mut ids = Ids::default();
        ids.note("111122223333", &cloud.account_id);
        ids.note("444455556666", &cloud.member_id);
        identities::seed(cloud, &mut ids).await;
        hosts::seed(cloud, &mut ids).await;
        cloud.moto().service("sns", &cloud.account_id).call("CreateTopic", &[("Name", "quell")]).await;

        ledger::create(cloud).await;

        let instance = ids.real("i-0a1b2c3d4e5f60718").to_owned();
        let session = cloud.assume_role(&cloud.account_id, "web-server", &instance).await;
        ids.note_key("ASIAIOSFODNN7EXAMPLE", session);
        let function = cloud.assume_role(&cloud.account_id, "quell-function", "quell").await;
        cloud.trust(&function);
        let Ids { ids, credentials } = ids;
        Account { function, ids, credentials }
    }

    /// Puts the real ids in the place of the fixed ones, in any text, and times of just now in that of the morning when
    /// the events are said to have happened: Quell leaves it to people what to do about old findings.
    pub fn localise(&self, event: &str) -> String {
        self.ids.iter().fold(just_now(event), |text, (fixed, real)| text.replace(fixed, real))
    }

    /// Puts the fixed ids in the place of the real ones, so that what happened reads the same in every run.
    pub fn delocalise(&self, text: &str) -> String {
        self.ids.iter().fold(text.to_owned(), |text, (fixed, real)| text.replace(real.as_str(), fixed))
    }

    /// The real id behind a fixed one.
    ///
    /// # Panics
    /// When the id is not in the table.
    pub fn real(&self, fixed: &str) -> &str {
        self.ids.get(fixed).unwrap_or_else(|| panic!("{fixed} is not a fixed id"))
    }

    /// The credentials behind a fixed access key id: what the attacker holds.
    pub fn credentials(&self, fixed: &str) -> &Credentials {
        self.credentials.get(fixed).unwrap_or_else(|| panic!("{fixed} is not a fixed access key id"))
    }

    /// The topic that Quell tells people through.
    pub fn topic(&self) -> String {
        format!("arn:aws:sns:{REGION}:{}:quell", self.real("111122223333"))
    }
}

/// The events' day, and its latest hour.
const DAY: &str = "2026-11-03T";
const HOUR: &str = "2026-11-03T10:00:00Z";

/// Puts times of just now in the place of the events' own. The same event gets the same times in the whole run: a later
/// time would be news.
pub fn just_now(event: &str) -> String {
    static NOW: LazyLock<Timestamp> = LazyLock::new(Timestamp::now);
    let hour: Timestamp = HOUR.parse().expect("a time");
    let since = SignedDuration::from_secs(NOW.duration_since(hour).as_secs());
    let mut pieces = event.split(DAY);
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| {
        let end = piece.find('Z').map_or(0, |end| end + 1);
        let (time, rest) = piece.split_at(end);
        let time = format!("{DAY}{time}");
        let moved = time.parse::<Timestamp>().map_or(time, |time| (time + since).to_string());
        text + &moved + rest
    })
}

/// The table as it fills while the account is being seeded.
#[derive(Default)]
pub struct Ids {
    ids: BTreeMap<&'static str, String>,
    credentials: BTreeMap<&'static str, Credentials>,
}

impl Ids {
    /// Says what a fixed id is here.
    pub fn note(&mut self, fixed: &'static str, real: &str) {
        assert!(FIXED.iter().any(|(known, _)| *known == fixed), "{fixed} is missing in the table of fixed ids");
        self.ids.insert(fixed, real.to_owned());
    }

    /// Says what a fixed access key id is here.
    pub fn note_key(&mut self, fixed: &'static str, credentials: Credentials) {
        self.note(fixed, &credentials.key);
        self.credentials.insert(fixed, credentials);
    }

    pub fn real(&self, fixed: &str) -> &str {
        &self.ids[fixed]
    }
}
