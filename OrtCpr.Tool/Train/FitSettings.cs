using System.CommandLine;
using System.Globalization;
using OrtCpr.Logging;
using OrtCpr.Metrics;
using OrtCpr.Schedules;

namespace OrtCpr.Tool.Train;

// How long a run is, how its learning rate goes, what is measured and what is written.
internal sealed class FitSettings
{
    private static readonly Dictionary<string, Func<Metric>> Metrics = new(StringComparer.Ordinal)
    {
        ["accuracy"] = () => Metric.Accuracy(),
        ["top5"] = () => Metric.Accuracy(5),
        ["perplexity"] = () => Metric.Perplexity(),
        ["f1"] = () => Metric.F1(),
        ["precision"] = () => Metric.Precision(),
        ["recall"] = () => Metric.Recall(),
        ["auc"] = () => Metric.RocAuc(),
        ["mse"] = () => Metric.MeanSquaredError(),
        ["mae"] = () => Metric.MeanAbsoluteError(),
        ["r2"] = () => Metric.R2(),
    };

    private readonly Option<long?> _epochs =
        new("--epochs") { Description = "Times that the data are gone through; by default once, or as often as --steps takes." };
    private readonly Option<long?> _steps = new("--steps") { Description = "Ends the run after so many optimizer steps." };
    private readonly Option<int> _accumulation = new("--accumulation") { Description = "Batches a step.", DefaultValueFactory = _ => 1 };
    private readonly Option<string> _schedule = new("--schedule")
    {
        Description = "Learning rate over the run: constant, linear, cosine, "
            + "one_cycle, plateau.",
        DefaultValueFactory = _ => "constant"
    };
    private readonly Option<long> _warmup = new("--warmup-steps")
    {
        Description = "Steps over which the learning rate rises from 0; of one_cycle those of its rising part, by default 3 of 10.",
    };
    private readonly Option<double> _final =
        new("--final-lr-factor") { Description = "linear and cosine: what is left of the learning rate at the end." };
    private readonly Option<string[]> _metrics = new("--metric")
    {
        Description = $"Figures of the evaluations beside the loss: "
            + $"{string.Join(", ", Metrics.Keys)}.",
        AllowMultipleArgumentsPerToken = true
    };
    private readonly Option<double?> _average = new("--weight-average")
    {
        Description = "Evaluates and keeps the exponential mean of the weights over the steps, which keeps this share a step, as 0.999.",
    };
    private readonly Option<long> _evaluate =
        new("--evaluate-every") { Description = "Steps between evaluations; 0 for each epoch's end." };
    private readonly Option<int> _patience =
        new("--early-stopping") { Description = "Ends the run after so many evaluations without an improvement." };
    private readonly Option<string> _monitor = new("--monitor")
    {
        Description = "The figure that best.safetensors and --early-stopping go "
            + "by.",
        DefaultValueFactory = _ => "loss"
    };
    private readonly Option<long> _save =
        new("--checkpoint-every") { Description = "Steps between checkpoints; each epoch's end has one anyway." };
    private readonly Option<int> _log =
        new("--log-every") { Description = "Steps between lines of metrics.csv and constraints.csv.", DefaultValueFactory = _ => 10 };
    private readonly Option<bool> _json = new("--json-lines") { Description = "Writes metrics.jsonl too." };
    private readonly Option<bool> _board = new("--tensorboard") { Description = "Writes TensorBoard event files too, in OUT/tensorboard." };

    public void AddTo(Command command)
    {
        foreach (Option option in new Option[] { _epochs, _steps, _accumulation, _schedule, _warmup, _final, _average, _metrics, _evaluate,
            _patience, _monitor, _save, _log, _json, _board })
        {
            command.Add(option);
        }
    }

    // What is out of range, in the words that the user gave, and before anything is read or made.
    public void Check(ParseResult r)
    {
        var least = new (Option Option, long? Value, long Least)[]
        {
            (_epochs, r.GetValue(_epochs), 1), (_steps, r.GetValue(_steps), 1), (_accumulation, r.GetValue(_accumulation), 1),
            (_warmup, r.GetValue(_warmup), 0), (_evaluate, r.GetValue(_evaluate), 0), (_patience, r.GetValue(_patience), 0),
            (_save, r.GetValue(_save), 0), (_log, r.GetValue(_log), 0),
        };
        string[] problems = [.. least.Where(o => o.Value < o.Least)
            .Select(o => $"{o.Option.Name} is {o.Value}; expected at least {o.Least}")];
        if (r.GetValue(_average) is double average && !(average is > 0 and < 1))
        {
            problems = [.. problems, string.Create(CultureInfo.InvariantCulture,
                $"{_average.Name} is {average}; expected a number above 0 and below 1")];
        }
        if (problems.Length > 0) throw new ToolException($"{string.Join("; ", problems)}.");
        string monitor = r.GetValue(_monitor)!;
        string[] figures = ["loss", .. ReadMetrics(r).Select(m => m.Name)];
        if (!figures.Contains(monitor))
        {
            throw new ToolException($"--monitor is '{monitor}', which no evaluation has; expected one of {string.Join(", ", figures)}. "
                + "Give the figure by --metric too.");
        }
    }

    // epochs: of a part of the run; those of the whole by default.
    public long Steps(ParseResult r, long batches, long? epochs = null)
    {
        long each = (batches + Math.Max(1, r.GetValue(_accumulation)) - 1) / Math.Max(1, r.GetValue(_accumulation));
        long times = epochs ?? Epochs(r);
        return Math.Min(r.GetValue(_steps) ?? long.MaxValue, times < long.MaxValue / each ? times * each : long.MaxValue);
    }

    // As many as fit where only --steps is given.
    public long Epochs(ParseResult r) => r.GetValue(_epochs) ?? (r.GetValue(_steps) is null ? 1 : long.MaxValue);

    public Schedule ScheduleOf(ParseResult r, long steps)
    {
        long warmup = r.GetValue(_warmup);
        return RuleOptions.Choose(new Dictionary<string, Func<Schedule>>(StringComparer.Ordinal)
        {
            ["constant"] = () => Schedule.Constant(warmup),
            ["linear"] = () => Schedule.Linear(steps, warmup, r.GetValue(_final)),
            ["cosine"] = () => Schedule.Cosine(steps, warmup, r.GetValue(_final)),
            ["one_cycle"] = () => OneCycle(steps, warmup),
            ["plateau"] = () => Schedule.Plateau(warmupSteps: warmup),
        }, r.GetValue(_schedule)!, "--schedule")();
    }

    private static Schedule OneCycle(long steps, long warmup)
    {
        if (warmup == 0) return Schedule.OneCycle(Math.Max(2, steps));
        return warmup > 0 && warmup < steps ? Schedule.OneCycle(steps, risingShare: (double)warmup / steps)
            : throw new ToolException($"--schedule one_cycle with --warmup-steps {warmup} in a run of {steps} steps: its rising part must "
                + "be shorter than the run and at least a step. Give fewer --warmup-steps, or more --steps or --epochs.");
    }

    // folder: of the logs. job: of the checkpoints.
    public FitOptions Read(ParseResult r, string folder, string job, BatchSource? validation, bool resume, TrainerCallback? first)
    {
        if (r.GetValue(_patience) > 0 && validation is null)
        {
            throw new ToolException("--early-stopping waits for evaluations, and there is nothing to evaluate on. Give --validation or "
                + "--validation-split.");
        }
        int every = r.GetValue(_log);
        var callbacks = new List<TrainerCallback>
        {
            ProgressBar.ToStandardError(),
            MetricsLog.ToCsv(Path.Combine(folder, "metrics.csv"), every),
            MetricsLog.ConstraintsToCsv(Path.Combine(folder, "constraints.csv"), every),
        };
        if (first is not null) callbacks.Insert(0, first);
        if (r.GetValue(_json)) callbacks.Add(MetricsLog.ToJsonLines(Path.Combine(folder, "metrics.jsonl"), every));
        if (r.GetValue(_board)) callbacks.Add(MetricsLog.ToTensorBoard(Path.Combine(folder, "tensorboard"), every));
        if (r.GetValue(_patience) > 0) callbacks.Add(new EarlyStopping(r.GetValue(_patience), r.GetValue(_monitor)!));
        return new FitOptions
        {
            Epochs = Epochs(r),
            MaxSteps = r.GetValue(_steps) ?? long.MaxValue,
            GradientAccumulation = r.GetValue(_accumulation),
            Validation = validation,
            Metrics = [.. ReadMetrics(r)],
            WeightAverage = r.GetValue(_average),
            EvaluateEverySteps = r.GetValue(_evaluate),
            Checkpoint = new CheckpointOptions(job)
            {
                EverySteps = r.GetValue(_save),
                Best = validation is null ? null
                : r.GetValue(_monitor),
                Resume = resume
            },
            Callbacks = [.. callbacks],
        };
    }

    public IReadOnlyList<Metric> ReadMetrics(ParseResult r) =>
        [.. (r.GetValue(_metrics) ?? []).Select(m => RuleOptions.Choose(Metrics, m, "--metric")())];

    public Option MetricOption => _metrics;
}
