using System.CommandLine;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Tool;

// The options that choose an optimizer, for every command that has one.
internal sealed class RuleOptions
{
    private static readonly Dictionary<string, Func<Settings, UpdateRule>> Optimizers = new(StringComparer.Ordinal)
    {
        ["adamcpr"] = s => UpdateRule.AdamCpr(s.LearningRate, s.Adam, s.Constraint),
        ["adamw"] = s => new UpdateRule
        {
            LearningRate = s.LearningRate,
            Links = [s.Adam, new AddDecayedWeights(s.WeightDecay, !s.DecayAll)]
        },
        ["adam"] = s => UpdateRule.Adam(s.LearningRate, s.Adam),
        ["sgd"] = s => UpdateRule.Sgd(s.LearningRate, new ScaleByMomentum(s.Momentum), s.WeightDecay),
        ["sgdcpr"] = s => UpdateRule.Sgd(s.LearningRate, new ScaleByMomentum(s.Momentum), s.WeightDecay, s.Constraint),
        ["adam_awd"] = s => UpdateRule.AdamAwd(s.LearningRate, s.WeightDecay, s.Adam),
        ["adam_adadecay"] = s => UpdateRule.AdamAdaDecay(s.LearningRate, s.WeightDecay, adam: s.Adam),
    };

    private readonly Option<string> _optimizer;
    private readonly Option<double> _rate = new("--lr") { Description = "Learning rate.", DefaultValueFactory = _ => 1e-3 };
    private readonly Option<double> _decay = new("--weight-decay")
    {
        Description = "Weight decay of adamw and sgd, strength of adam_awd "
            + "and adam_adadecay.",
        DefaultValueFactory = _ => 1e-2
    };
    private readonly Option<bool> _decayAll = new("--decay-all") { Description = "adamw decays biases, gains and embeddings too." };
    private readonly Option<double> _momentum = new("--momentum") { Description = "Momentum of sgd.", DefaultValueFactory = _ => 0.9 };
    private readonly Option<string?> _method =
        new("--kappa-init-method")
        {
            Description = "uniform, dependent, warm_start or inflection_point; by default the last, and in a run "
                + "of less than 1600 steps warm_start at a fifth of it."
        };
    private readonly Option<double?> _parameter =
        new("--kappa-init-param") { Description = "The bound, its factor, or the step at which it is set." };
    private readonly Option<Regularizer> _regularizer =
        new("--reg-function")
        {
            Description = "l2, l1, std or huber.",
            DefaultValueFactory = _ => Regularizer.L2,
            CustomParser = r =>
        Parse<Regularizer>(r.Tokens[0].Value, "--reg-function")
        };

    private readonly Option<double> _rateOfLambda =
        new("--kappa-update") { Description = "Rate of the multipliers.", DefaultValueFactory = _ => 1 };
    private readonly Option<long?> _interval = new("--reg-step-size") { Description = "inflection_point: steps between two samples." };
    private readonly Option<double> _average =
        new("--reg-ema-decay") { Description = "inflection_point: decay of the running average of samples." };
    private readonly Option<long> _wait =
        new("--max-wait-steps") { Description = "inflection_point: step at which an unset bound is set; 0 for never." };
    private readonly Option<bool> _byRate = new("--reg-by-lr") { Description = "Multiplies the constraint's step by the learning rate." };

    public RuleOptions(string optimizer) =>
        _optimizer = new("--optimizer")
        {
            Description = $"One of {string.Join(", ", Optimizers.Keys)}.",
            DefaultValueFactory = _ =>
            optimizer
        };

    public void AddTo(Command command)
    {
        foreach (Option option in new Option[] { _optimizer, _rate, _decay, _decayAll, _momentum, _method, _parameter, _regularizer,
            _rateOfLambda, _interval, _average, _wait, _byRate })
        {
            command.Add(option);
        }
    }

    public static void Check(string optimizer) => Choose(Optimizers, optimizer, "--compare");

    // optimizer: in place of the words'.
    public UpdateRule Read(ParseResult r, ScaleByAdam adam, string? optimizer = null) =>
        Choose(Optimizers, optimizer ?? r.GetValue(_optimizer)!,
            "--optimizer")(new Settings(r.GetValue(_rate), r.GetValue(_decay), r.GetValue(_decayAll), r.GetValue(_momentum), adam,
            new ConstrainNorm
            {
                // A method that is asked for stays in a short run too: only a rule of nothing but defaults follows the run's length.
                Bound = Bound.Of(r.GetValue(_method) ?? AtInflectionBound.MethodName, r.GetValue(_parameter), Interval(r),
                    r.GetValue(_average),
                r.GetValue(_wait)),
                Regularizer = r.GetValue(_regularizer),
                KappaUpdate = r.GetValue(_rateOfLambda),
                RegularizeByLearningRate = r.GetValue(_byRate),
            }));

    private long? Interval(ParseResult r) =>
        r.GetValue(_interval) ?? (r.GetValue(_method) is null ? null : AtInflectionBound.DefaultInterval);

    public static T Choose<T>(IReadOnlyDictionary<string, T> table, string name, string option) =>
        table.TryGetValue(name.Replace('-', '_').ToLowerInvariant(), out T? found) ? found
            : throw new ToolException($"{option} '{name}' is not known; expected one of {string.Join(", ", table.Keys)}.");

    private static T Parse<T>(string text, string option) where T : struct, Enum =>
        Enum.TryParse(text.Replace("_", "", StringComparison.Ordinal).Replace("-", "", StringComparison.Ordinal), ignoreCase: true,
            out T value) && Enum.IsDefined(value) ? value
        : throw new ToolException($"{option} '{text}' is not known; expected one of {string.Join(", ", Enum.GetNames<T>())}.");

    private sealed record Settings(double LearningRate, double WeightDecay, bool DecayAll, double Momentum, ScaleByAdam Adam,
        ConstrainNorm Constraint);
}
