//! A request as the workflow of a CI service whose jobs depend on each other: a whole file.

use super::ci_jobs::Service;
use crate::run::job_graph::{Job, Part};
use indexmap::IndexMap;
use serde::Serialize;

/// What the file needs to know beside the jobs.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The command that has written the file.
    pub written_by: String,
    /// The command of a job, without targets, and that of the last job with all of them, if there is one.
    pub build: String,
    /// The packages of the request, as the command line names them: part of the last job's command.
    pub whole: Option<String>,
    /// All targets.
    pub targets: String,
    /// The options that select what tools are needed: profile, settings.
    pub doctor: String,
    /// The image that jobs run in, which has crossmill.
    pub image: Option<String>,
    /// Caches to read.
    pub cache_from: Vec<String>,
    /// The cache to write.
    pub cache_to: String,
    /// The public keys that are trusted.
    pub cache_keys: Vec<String>,
}

/// The name of the last job, which takes all results and draws the table.
const TABLE: &str = "table";
/// Where a job of GitHub has the secret key.
const KEY_FILE: &str = "$RUNNER_TEMP/cache.sec";

/// Returns the file of a service, ending in a newline; `None` for a service without dependencies between jobs.
#[must_use]
pub fn text(service: Service, jobs: &[Job], frame: &Frame) -> Option<String> {
    let yaml = match service {
        Service::Github => yaml(&github(jobs, frame)),
        Service::Gitlab => {
            let (pipeline, jobs) = gitlab(jobs, frame);
            // One map: jobs are keys beside the others.
            yaml(&pipeline) + &yaml(&jobs)
        }
        Service::Buildkite | Service::List => return None,
    };
    Some(format!("{}{yaml}", header(service, frame)))
}

fn yaml(value: &impl Serialize) -> String {
    serde_saphyr::to_string(value).expect("text, lists and maps with text as keys are YAML")
}

fn header(service: Service, frame: &Frame) -> String {
    let secrets = match service {
        Service::Github => {
            "# Secrets of the repository: CROSSMILL_CACHE_SIGN_KEY, the text of a secret key of minisign without a password, and\n\
             # what the cache asks for: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL, or\n\
             # CROSSMILL_CACHE_TOKEN.\n"
        }
        _ => {
            "# Variables of the project, protected: CROSSMILL_CACHE_SIGN_KEY, of type file, a secret key of minisign without a\n\
             # password, and, masked, what the cache asks for: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and\n\
             # AWS_ENDPOINT_URL, or CROSSMILL_CACHE_TOKEN.\n"
        }
    };
    let by = frame.written_by.replace('\n', " ");
    format!(
        "# Written by: {by}\n\
         # A job for what all toolchains share, one for each toolchain, one for the kernel and the checks of each target. Jobs\n\
         # have only the cache between them; whoever holds its key is trusted, so no pull request runs here.\n{secrets}"
    )
}

/// Returns the name of a job.
#[must_use]
pub fn name(part: &Part) -> String {
    // Names of targets may have dots and pluses, names of jobs may not.
    let plain = |name: &str| name.replace('.', "_dot_").replace('+', "_plus_");
    match part {
        Part::Host => "host".to_owned(),
        Part::Toolchain(name) => format!("toolchain-{}", plain(name.as_str())),
        Part::Target(name) => format!("target-{}", plain(name.as_str())),
    }
}

fn command(job: &Job, frame: &Frame) -> String {
    let packages: Vec<String> = job.packages.iter().map(|package| format!(" --package {package}")).collect();
    format!("{} {}{}", frame.build, job.target, packages.concat())
}

fn needs(jobs: &[Job], job: &Job) -> Vec<String> {
    job.needs.iter().filter_map(|at| jobs.get(*at)).map(|job| name(&job.part)).collect()
}

#[derive(Serialize)]
struct Workflow {
    name: &'static str,
    on: On,
    permissions: IndexMap<&'static str, &'static str>,
    concurrency: Concurrency,
    env: IndexMap<&'static str, String>,
    jobs: IndexMap<String, GithubJob>,
}

#[derive(Serialize)]
struct On {
    push: IndexMap<&'static str, Vec<&'static str>>,
    workflow_dispatch: IndexMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Concurrency {
    group: &'static str,
    cancel_in_progress: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct GithubJob {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    needs: Vec<String>,
    #[serde(rename = "if", skip_serializing_if = "Option::is_none")]
    condition: Option<&'static str>,
    runs_on: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<String>,
    timeout_minutes: u32,
    steps: Vec<Step>,
}

#[derive(Serialize, Default)]
struct Step {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'static str>,
    #[serde(rename = "if", skip_serializing_if = "Option::is_none")]
    condition: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uses: Option<&'static str>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    with: IndexMap<&'static str, String>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    env: IndexMap<&'static str, &'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
}

fn run(script: impl Into<String>) -> Step {
    Step { run: Some(script.into()), ..Step::default() }
}

fn github(jobs: &[Job], frame: &Frame) -> Workflow {
    let job = |name: &str, needs: Vec<String>, targets: &str, command: &str| GithubJob {
        needs,
        condition: None,
        runs_on: "ubuntu-latest",
        container: frame.image.clone(),
        // GitHub ends a job after six hours.
        timeout_minutes: 350,
        steps: github_steps(frame, name, targets, command),
    };
    let mut all = IndexMap::new();
    for one in jobs {
        let name = name(&one.part);
        all.insert(name.clone(), job(&name, needs(jobs, one), one.target.as_str(), &command(one, frame)));
    }
    if let Some(whole) = &frame.whole {
        let needs = all.keys().cloned().collect();
        let last = job(TABLE, needs, &frame.targets, &format!("{} {whole}", frame.build));
        // What failed is tried once more here: the table has everything.
        all.insert(TABLE.to_owned(), GithubJob { condition: Some("${{ !cancelled() }}"), ..last });
    }
    let mut env = caches(frame);
    // In the workspace: in a container the context `github.workspace` has the path outside of it.
    env.insert("CROSSMILL_STORE", "store".to_owned());
    Workflow {
        name: "toolchains",
        on: On { push: [("branches", vec!["main"])].into(), workflow_dispatch: IndexMap::new() },
        permissions: [("contents", "read")].into(),
        concurrency: Concurrency { group: "toolchains-${{ github.ref }}", cancel_in_progress: true },
        env,
        jobs: all,
    }
}

fn github_steps(frame: &Frame, name: &str, targets: &str, command: &str) -> Vec<Step> {
    let mut steps = vec![Step { uses: Some("actions/checkout@v4"), ..Step::default() }];
    if frame.image.is_none() {
        steps.push(run("cargo install --locked --path ."));
        steps.push(run(format!("crossmill doctor --install{} {targets}", frame.doctor)));
    }
    // A file, as minisign reads no variable; the directory is emptied after the job.
    let key = Step {
        env: [("KEY", "${{ secrets.CROSSMILL_CACHE_SIGN_KEY }}")].into(),
        ..run(format!("umask 077\nprintf '%s\\n' \"$KEY\" > \"{KEY_FILE}\"\n"))
    };
    let credentials = [
        ("AWS_ACCESS_KEY_ID", "${{ secrets.AWS_ACCESS_KEY_ID }}"),
        ("AWS_SECRET_ACCESS_KEY", "${{ secrets.AWS_SECRET_ACCESS_KEY }}"),
        ("AWS_REGION", "${{ secrets.AWS_REGION }}"),
        ("AWS_ENDPOINT_URL", "${{ secrets.AWS_ENDPOINT_URL }}"),
    ];
    let token = [("CROSSMILL_CACHE_TOKEN", "${{ secrets.CROSSMILL_CACHE_TOKEN }}")];
    let is_bucket = |url: &String| url.starts_with("s3:");
    let is_server = |url: &String| url.starts_with("http:") || url.starts_with("https:");
    let urls = || frame.cache_from.iter().chain([&frame.cache_to]);
    let mut env = IndexMap::new();
    if urls().any(is_bucket) {
        env.extend(credentials);
    }
    if urls().any(is_server) {
        env.extend(token);
    }
    let build = Step { id: Some("build"), env, ..run(format!("{command} --cache-sign-key \"{KEY_FILE}\"")) };
    let report = Step {
        condition: Some("${{ !cancelled() && steps.build.conclusion != 'skipped' }}"),
        ..run(
            "crossmill report --ci-summary\ncrossmill report --format junit -o junit.xml\ncrossmill report -o report.html\n",
        )
    };
    let keep = Step {
        condition: Some("${{ !cancelled() }}"),
        uses: Some("actions/upload-artifact@v4"),
        with: [("name", format!("report-{name}")), ("path", "junit.xml\nreport.html\n".to_owned())].into(),
        ..Step::default()
    };
    steps.extend([key, build, report, keep]);
    steps
}

fn caches(frame: &Frame) -> IndexMap<&'static str, String> {
    [
        ("CROSSMILL_CACHE_FROM", frame.cache_from.join(" ")),
        ("CROSSMILL_CACHE_TO", frame.cache_to.clone()),
        ("CROSSMILL_CACHE_KEYS", frame.cache_keys.join(" ")),
    ]
    .into()
}

#[derive(Serialize)]
struct GitlabJob {
    stage: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    needs: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<&'static str>,
    script: Vec<String>,
    after_script: Vec<&'static str>,
    artifacts: Artifacts,
}

#[derive(Serialize)]
struct Artifacts {
    when: &'static str,
    paths: Vec<&'static str>,
    reports: IndexMap<&'static str, &'static str>,
}

#[derive(Serialize)]
struct Rules {
    rules: Vec<IndexMap<&'static str, &'static str>>,
}

#[derive(Serialize)]
struct Pipeline {
    workflow: Rules,
    stages: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<IndexMap<&'static str, String>>,
    variables: IndexMap<&'static str, String>,
}

fn gitlab(jobs: &[Job], frame: &Frame) -> (Pipeline, IndexMap<String, GitlabJob>) {
    let job = |stage, needs, when, command: String| GitlabJob {
        stage,
        needs,
        when,
        script: vec![command],
        after_script: vec!["crossmill report --format junit -o junit.xml", "crossmill report -o report.html"],
        artifacts: Artifacts { when: "always", paths: vec!["report.html"], reports: [("junit", "junit.xml")].into() },
    };
    let mut all = IndexMap::new();
    let mut stages = Vec::new();
    for one in jobs {
        let stage = match one.part {
            Part::Host => "host",
            Part::Toolchain(_) => "toolchain",
            Part::Target(_) => "target",
        };
        if !stages.contains(&stage) {
            stages.push(stage);
        }
        // Without stages of their own in the way: what a job needs is all that it waits for.
        all.insert(name(&one.part), job(stage, Some(needs(jobs, one)), None, command(one, frame)));
    }
    if let Some(whole) = &frame.whole {
        // It waits for its stage: GitLab takes 50 `needs` of a job.
        stages.push(TABLE);
        all.insert(TABLE.to_owned(), job(TABLE, None, Some("always"), format!("{} {whole}", frame.build)));
    }
    let mut variables = caches(frame);
    variables.insert("CROSSMILL_STORE", "$CI_PROJECT_DIR/store".to_owned());
    let pipeline = Pipeline {
        // Variables that are protected exist on protected branches only.
        workflow: Rules { rules: vec![[("if", "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH")].into()] },
        stages,
        default: frame.image.clone().map(|image| [("image", image)].into()),
        variables,
    };
    (pipeline, all)
}
