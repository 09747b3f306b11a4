//! `interlock live`: the gates, arming, tokens, sign-offs, the transition record.

use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use clap::{Subcommand, ValueEnum};
use interlock::agent::Clock;
use interlock::ops::client::exit::{DONE, REFUSED};
use interlock::ops::events::{self, Event, Level, rfc3339};
use interlock::ops::files;
use interlock::ops::gates::{
    self, Assessment, Books, Draft, Kind, PHRASE, PersonalKey, Role, Signer, Statement, Step,
};
use interlock::ops::paths::Paths;
use interlock::run::access::Access;
use interlock::run::clearance::{self, Asked};
use interlock::run::plan::{self, Environment, Mode, Plan};
use interlock::run::session::build_id;
use serde_json::json;

use crate::Failure;
use crate::Outcome;
use crate::args::{Common, Output, duration};

/// `interlock live`.
#[derive(Debug, Subcommand)]
pub(crate) enum LiveVerb {
    /// Every gate, with its evidence; what to do about the closed ones. Exit 3 if one is closed.
    #[command(after_help = "Example:\n  interlock live gates -c config/live.toml --live-confirm HASH")]
    Gates {
        /// The hash of the effective configuration (`interlock config hash`).
        #[arg(long, value_name = "HASH")]
        live_confirm: Option<String>,
    },
    /// Arm one session: everything else must hold; then the phrase is to be typed. Exit 3 if it is not to be.
    #[command(
        after_help = "Example:\n  interlock live arm -c config/live.toml --live-confirm HASH --key proposer.pem"
    )]
    Arm {
        /// The hash of the effective configuration.
        #[arg(long, value_name = "HASH")]
        live_confirm: String,
        /// The proposer's key, mode 0600.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Take an arming back.
    Disarm,
    /// Approve the effective configuration in a role.
    #[command(
        after_help = "Example:\n  interlock live signoff -c config/live.toml --role risk --key risk.pem --valid 336h"
    )]
    Signoff {
        /// In which role.
        #[arg(long, value_enum)]
        role: Approver,
        /// The role's key, mode 0600.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// For how long.
        #[arg(long, default_value = "168h", value_name = "TIME", value_parser = duration)]
        valid: Duration,
        /// The hash that was reviewed; refused if the files here have another.
        #[arg(long, value_name = "HASH")]
        hash: Option<String>,
        /// Write the statement there instead of into the data directory; it belongs into DATA/live/ with mode 0600.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Make a one-time confirm token: shown once, on stdout; only its hash is kept.
    #[command(after_help = "Example:\n  export LIVE_CONFIRM_TOKEN=$(interlock live token --by alice)")]
    Token {
        /// Who has it made.
        #[arg(long, value_name = "NAME")]
        by: String,
    },
    /// Make a person's signing key in a new file of mode 0600; its public half, for [gates], goes to stdout.
    #[command(after_help = "Example:\n  interlock live key --out risk.pem")]
    Key {
        /// The new file.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// The transition record: shows it, or, with --by and --commit, backs the configuration up and writes it.
    #[command(
        after_help = "Example:\n  interlock live transition -c config/live.toml --by alice --commit $(git rev-parse HEAD)"
    )]
    Transition {
        /// Who takes the step.
        #[arg(long, value_name = "NAME", requires = "commit")]
        by: Option<String>,
        /// The baseline commit.
        #[arg(long, value_name = "COMMIT", requires = "by")]
        commit: Option<String>,
    },
}

/// The roles that approve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Approver {
    /// Risk owner.
    Risk,
    /// Security owner.
    Security,
    /// Operations owner.
    Operations,
    /// System owner.
    #[value(name = "system_owner", alias = "system-owner")]
    SystemOwner,
}

impl Approver {
    const fn role(self) -> Role {
        match self {
            Self::Risk => Role::Risk,
            Self::Security => Role::Security,
            Self::Operations => Role::Operations,
            Self::SystemOwner => Role::SystemOwner,
        }
    }
}

/// What every one of these verbs works on.
struct Ground {
    plan: Plan,
    environment: Environment,
    paths: Paths,
    books: Books,
    now_ns: i64,
}

impl Ground {
    fn of(common: &Common) -> Result<Self, Failure> {
        let mut plan = plan::load(&common.config).map_err(Failure::usage)?;
        // What is asked here is asked of live, as by `interlock run --mode live`.
        plan.mode = Mode::Live;
        let paths = Paths::new(&common.data_dir, None);
        let (environment, now_ns) = (Environment::read(), Clock::system().now().ns);
        Ok(Self { plan, environment, books: Books::new(&paths), paths, now_ns })
    }

    fn assess(&self, live_confirm: Option<&str>) -> Assessment {
        let access = Access::from_plan(&self.plan, self.environment.api_key_file.clone());
        let asked = Asked {
            plan: &self.plan,
            environment: &self.environment,
            live_confirm,
            access: access.as_ref(),
            paths: &self.paths,
            now_ns: self.now_ns,
        };
        gates::assess(&clearance::case(&asked))
    }

    /// Leaves a trace. Whatever it tells has happened already: a log that can't be written is said, not more.
    fn tell(&self, event: &Event) {
        let made = std::fs::create_dir_all(&self.paths.data);
        if let Err(error) = made.and_then(|()| events::append(&self.paths.events(), event)) {
            say(&format!(
                "interlock: {}: {error}; {} is not in it",
                self.paths.events().display(),
                event.name
            ));
        }
    }

    fn event(&self, name: &'static str) -> Event {
        Event::new(self.now_ns, Level::Info, name).with("config_hash", self.plan.hash())
    }
}

fn say(text: &str) {
    let _closed = writeln!(std::io::stderr(), "{text}");
}

/// A refusal, exit code 3.
fn refused(text: impl Into<String>) -> Failure {
    Failure { code: REFUSED, error: anyhow!(text.into()) }
}

pub(crate) fn run(common: &Common, verb: LiveVerb) -> Outcome {
    let ground = match verb {
        // Neither looks at a configuration.
        LiveVerb::Key { out } => return key(&out),
        LiveVerb::Token { by } => return token(common, &by),
        LiveVerb::Disarm => return disarm(common),
        _ => Ground::of(common)?,
    };
    match verb {
        LiveVerb::Gates { live_confirm } => {
            let assessment = ground.assess(live_confirm.as_deref());
            show(common, &assessment)?;
            Ok(if assessment.is_clear() { DONE } else { REFUSED })
        }
        LiveVerb::Arm { live_confirm, key } => arm(common, &ground, &live_confirm, &key),
        LiveVerb::Signoff { role, key, valid, hash, out } => {
            sign_off(&ground, role.role(), &key, (valid, hash.as_deref()), out.as_deref())
        }
        LiveVerb::Transition { by: Some(by), commit: Some(commit) } => {
            transition(common, &ground, &by, &commit)
        }
        _ => show_transition(common, &ground),
    }
}

fn show(common: &Common, assessment: &Assessment) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match common.output {
        Output::Json => writeln!(out, "{}", assessment.to_json())?,
        Output::Table => writeln!(out, "{}", assessment.render())?,
    }
    Ok(())
}

fn key(out: &Path) -> Outcome {
    let key = PersonalKey::create(out).map_err(|why| Failure::usage(anyhow!(why)))?;
    writeln!(std::io::stdout(), "{}", key.public())?;
    say(&format!("{} is the private half: it stays with its owner", out.display()));
    Ok(DONE)
}

fn token(common: &Common, by: &str) -> Outcome {
    if by.trim().is_empty() {
        return Err(Failure::usage(anyhow!("--by is empty: a token is made by someone")));
    }
    let paths = Paths::new(&common.data_dir, None);
    let now_ns = Clock::system().now().ns;
    let token = gates::make_token(&Books::new(&paths), by, now_ns).map_err(|why| anyhow!(why))?;
    events::append(&paths.events(), &Event::new(now_ns, Level::Info, "LIVE_TOKEN_MADE").with("by", by))?;
    writeln!(std::io::stdout(), "{}", token.as_str())?;
    say(
        "shown once and kept nowhere: put it into LIVE_CONFIRM_TOKEN. It is good for one start; an older one is void",
    );
    Ok(DONE)
}

fn disarm(common: &Common) -> Outcome {
    let paths = Paths::new(&common.data_dir, None);
    files::remove(&Books::new(&paths).arming())?;
    let now_ns = Clock::system().now().ns;
    events::append(&paths.events(), &Event::new(now_ns, Level::Info, "LIVE_DISARMED"))?;
    say("disarmed");
    Ok(DONE)
}

/// The key of a role, if it is the one that the configuration names.
fn key_of(signer: &Signer, role: Role, path: &Path) -> Result<PersonalKey, Failure> {
    let wanted = signer.public().map_err(|why| refused(format!("gates: {}: {why}", role.name())))?;
    let key = PersonalKey::read(path).map_err(|why| Failure::usage(anyhow!(why)))?;
    if key.public() != wanted {
        return Err(refused(format!(
            "{} is the key {}; the configuration names {wanted} ({}) as {}",
            path.display(),
            key.public(),
            signer.name,
            role.name()
        )));
    }
    Ok(key)
}

fn arm(common: &Common, ground: &Ground, live_confirm: &str, key: &Path) -> Outcome {
    let assessment = ground.assess(Some(live_confirm));
    show(common, &assessment)?;
    if !assessment.awaits_confirmation_only() {
        let mut others = assessment;
        others.lines.retain(|line| line.gate.name != gates::OPERATOR_CONFIRMATION);
        ground.tell(&others.event(ground.now_ns));
        return Err(refused("LIVE_ARM_FAILED: not armed; see the closed gates above"));
    }
    let proposer = &ground.plan.gates.proposer;
    let key = key_of(proposer, Role::Proposer, key)?;
    say("\nWARNING: real orders will be submitted to the exchange!");
    let mut err = std::io::stderr();
    write!(err, "Type '{PHRASE}' to confirm: ")?;
    err.flush()?;
    let mut typed = String::new();
    std::io::stdin().lock().read_line(&mut typed)?;
    if typed.trim_end_matches(['\r', '\n']) != PHRASE {
        ground.tell(&ground.event("LIVE_ARM_FAILED").with("missing", json!(["the phrase was not typed"])));
        return Err(refused("LIVE_ARM_FAILED: the phrase was not typed; not armed"));
    }
    let bound_to = gates::token_hash(&ground.books).map_err(|why| anyhow!(why))?;
    let statement = Statement::sign(
        &Draft {
            kind: Kind::Arming,
            role: Role::Proposer,
            name: &proposer.name,
            config_hash: live_confirm,
            bound_to: &bound_to,
            issued_ns: ground.now_ns,
            valid_s: ground.plan.gates.arming_valid_s,
        },
        &key,
    );
    keep(&ground.books, &ground.books.arming(), &statement)?;
    ground.tell(&ground.event("LIVE_ARMED").with("by", proposer.name.clone()));
    say(&format!(
        "armed by {} for one session that starts before {}",
        proposer.name,
        rfc3339(statement.expires_ns)
    ));
    Ok(DONE)
}

fn keep(books: &Books, path: &Path, statement: &Statement) -> Result<(), Failure> {
    let bytes = serde_json::to_vec_pretty(statement)?;
    Ok(books.write(path, &bytes).map_err(|why| anyhow!(why))?)
}

fn sign_off(
    ground: &Ground,
    role: Role,
    key: &Path,
    (valid, reviewed): (Duration, Option<&str>),
    out: Option<&Path>,
) -> Outcome {
    let hash = ground.plan.hash();
    if let Some(reviewed) = reviewed.filter(|r| *r != hash) {
        return Err(refused(format!(
            "--hash {reviewed}, but the files here have the hash {hash}; not signed"
        )));
    }
    let days_max = ground.plan.gates.sign_off_days_max;
    if valid.is_zero() || valid.as_secs() > days_max.saturating_mul(86_400) {
        return Err(Failure::usage(anyhow!("--valid: at most {days_max} days (gates.sign_off_days_max)")));
    }
    let signers = &ground.plan.gates.signers;
    let signer = match role {
        Role::Risk => &signers.risk,
        Role::Security => &signers.security,
        Role::Operations => &signers.operations,
        Role::SystemOwner | Role::Proposer => &signers.system_owner,
    };
    let key = key_of(signer, role, key)?;
    let draft = Draft {
        kind: Kind::SignOff,
        role,
        name: &signer.name,
        config_hash: &hash,
        bound_to: "",
        issued_ns: ground.now_ns,
        valid_s: valid.as_secs(),
    };
    let statement = Statement::sign(&draft, &key);
    match out {
        Some(out) => files::replace(out, &serde_json::to_vec_pretty(&statement)?, files::Durability::Synced)?,
        None => keep(&ground.books, &ground.books.sign_off(role), &statement)?,
    }
    let event = ground.event("SIGNED_OFF").with("role", role.name()).with("name", signer.name.clone());
    ground.tell(&event.with("expires", rfc3339(statement.expires_ns)));
    let until = rfc3339(statement.expires_ns);
    writeln!(
        std::io::stdout(),
        "{} {} approved configuration {hash} until {until}",
        role.name(),
        signer.name
    )?;
    Ok(DONE)
}

fn transition(common: &Common, ground: &Ground, by: &str, commit: &str) -> Outcome {
    let (hash, effective) = (ground.plan.hash(), ground.plan.to_toml());
    let step = Step {
        executed_by: by,
        baseline_commit: commit,
        build_id: &build_id(),
        config_hash: &hash,
        files: &common.config,
        effective: &effective,
        now_ns: ground.now_ns,
    };
    let record =
        gates::record_transition(&ground.books, &step).map_err(|why| Failure::usage(anyhow!(why)))?;
    let event = ground.event("LIVE_TRANSITION").with("executed_by", record.executed_by.clone());
    let event = event.with("baseline_commit", record.baseline_commit.clone());
    ground.tell(&event.with("build", record.build_id.clone()).with("backup", record.backup));
    show_transition(common, ground)
}

fn show_transition(common: &Common, ground: &Ground) -> Outcome {
    let record = gates::read_transition(&ground.books).map_err(|why| anyhow!(why))?;
    let mut out = std::io::stdout().lock();
    if common.output == Output::Json {
        writeln!(out, "{}", serde_json::to_string_pretty(&record)?)?;
        return Ok(DONE);
    }
    writeln!(out, "date             {}", record.date)?;
    writeln!(out, "executed by      {}", record.executed_by)?;
    writeln!(out, "baseline commit  {}", record.baseline_commit)?;
    writeln!(out, "build            {}", record.build_id)?;
    writeln!(out, "configuration    {}", record.config_hash)?;
    writeln!(out, "backup           {}", ground.books.folder().join(&record.backup).display())?;
    for file in &record.files {
        writeln!(out, "                 {} {}", file.hash, file.name)?;
    }
    writeln!(out, "initial session  {}", record.initial_session.as_deref().unwrap_or("-"))?;
    Ok(DONE)
}
