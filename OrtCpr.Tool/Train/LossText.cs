using System.Globalization;
using OrtCpr.Graph.Losses;

namespace OrtCpr.Tool.Train;

// One loss as a text: KIND[(SETTING=VALUE,…)][:LABELS][@OUTPUT][*WEIGHT], as cross_entropy, mse:boxes@pred*0.4 or huber(delta=2).
internal static class LossText
{
    // What a kind of loss makes of its settings. What a text leaves out is taken from the other options of the command.
    private static readonly Dictionary<string, Func<Settings, Loss>> Table = new(StringComparer.Ordinal)
    {
        ["cross_entropy"] = s => s.OfClasses(new CrossEntropyLoss
        { LabelSmoothing = s.Number("label_smoothing", s.Defaults.LabelSmoothing) }),
        ["nll"] = s => s.OfClasses(new NllLoss { Probabilities = s.Flag("probabilities") }),
        ["focal"] = s => s.OfClasses(new FocalLoss { Gamma = s.Number("gamma", 2) }),
        ["multi_margin"] = s => s.OfClasses(new MultiMarginLoss { Margin = s.Number("margin", 1), Power = (int)s.Number("power", 1) }),
        ["mse"] = s => s.OfElements(new MseLoss(s.Reduction)),
        ["l1"] = s => s.OfElements(new L1Loss(s.Reduction)),
        ["huber"] = s => s.OfElements(new HuberLoss(s.Number("delta", 1), s.Reduction)),
        ["bce_with_logits"] = s => s.OfElements(new BceWithLogitsLoss(s.Reduction) { PositiveWeight = s.Number("positive_weight", 1) }),
        ["bce"] = s => s.OfElements(new BceLoss(s.Reduction)),
        ["binary_focal"] = s => s.OfElements(new BinaryFocalLoss(s.Reduction)
        { Gamma = s.Number("gamma", 2), Alpha = s.Text("alpha") == "none" ? null : s.Number("alpha", 0.25) }),
        ["hinge"] = s => s.OfElements(new HingeLoss(s.Reduction)
        { Margin = s.Number("margin", 1), Squared = s.Flag("squared") ?? false }),
        ["dice"] = s => s.OfElements(new DiceLoss(s.Reduction)
        { Smooth = s.Number("smooth", 1e-5), FromLogits = s.Flag("from_logits") ?? false }),
        ["kl_divergence"] = s => s.OfElements(new KlDivergenceLoss(s.Reduction)
        { LogTarget = s.Flag("log_target") ?? false, BatchMean = s.Flag("batch_mean") ?? false }),
        ["soft_cross_entropy"] = s => s.OfElements(new SoftCrossEntropyLoss(s.Reduction)),
        ["gaussian_nll"] = s => s.OfElements(new GaussianNllLoss(s.Reduction)
        { VarianceOutput = s.Text("variance"), Full = s.Flag("full") ?? false, Epsilon = s.Number("epsilon", 1e-6) }),
        ["cosine_embedding"] = s => new CosineEmbeddingLoss(s.Needed("other"), s.Reduction)
        { Output = s.Output, TargetName = s.Label ?? "target", Margin = s.Number("margin", 0) },
        ["triplet_margin"] = s => new TripletMarginLoss(s.Needed("positive"), s.Needed("negative"), s.Reduction)
        { Output = s.Output, Margin = s.Number("margin", 1), Swap = s.Flag("swap") ?? false },
        ["info_nce"] = s => new InfoNceLoss(s.Text("other"), s.Reduction)
        {
            Output = s.Output,
            Temperature = s.Number("temperature", 0.07),
            Normalize = s.Flag("normalize") ?? true,
            Symmetric = s.Flag("symmetric") ?? true,
        },
        ["ctc"] = s => new CtcLoss
        {
            Output = s.Output,
            Reduction = s.Reduction,
            LabelName = s.Label ?? "labels",
            LabelLengthName = s.Text("label_lengths") ?? "label_lengths",
            InputLengthName = s.Text("input_lengths"),
            Blank = (int)s.Number("blank", 0),
            BatchFirst = s.Flag("batch_first") ?? false,
            ZeroInfinity = s.Flag("zero_infinity") ?? false,
        },
        ["output"] = s => new OutputLoss(s.Reduction) { Output = s.Output },
    };

    public static string Kinds => string.Join(", ", Table.Keys);

    public const string Grammar = "KIND[(SETTING=VALUE,…)][:LABELS][@OUTPUT][*WEIGHT]";

    // The loss of several texts: their sum where there are several, or one has a weight.
    public static Loss Parse(IReadOnlyList<string> texts, LossDefaults defaults)
    {
        if (texts.Count > 1 && defaults.Output is not null)
        {
            throw new ToolException(
                "--output names one output, and there are several losses: write each one's behind its kind, as --loss mse@boxes.");
        }
        (Loss Loss, double Weight)[] all = [.. texts.Select(t => One(t, defaults))];
        return all is [(Loss only, 1)] ? only : new WeightedSumLoss([.. all]);
    }

    private static (Loss, double) One(string text, LossDefaults defaults)
    {
        string rest = text.Trim();
        double weight = 1;
        int star = rest.LastIndexOf('*');
        if (star >= 0)
        {
            if (!double.TryParse(rest[(star + 1)..], NumberStyles.Float, CultureInfo.InvariantCulture, out weight))
                throw Wrong(text, $"'{rest[(star + 1)..]}' is no number");
            rest = rest[..star];
        }
        int end = rest.IndexOfAny([':', '@', '(']);
        string kind = (end < 0 ? rest : rest[..end]).Replace('-', '_').ToLowerInvariant();
        rest = end < 0 ? "" : rest[end..];
        var settings = new Dictionary<string, string>(StringComparer.Ordinal);
        if (rest.StartsWith('('))
        {
            int close = rest.IndexOf(')', StringComparison.Ordinal);
            if (close < 0) throw Wrong(text, "the bracket is not closed");
            foreach (string setting in rest[1..close].Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
            {
                int equal = setting.IndexOf('=', StringComparison.Ordinal);
                if (equal <= 0) throw Wrong(text, $"'{setting}' is no SETTING=VALUE");
                settings[setting[..equal].Replace('-', '_').ToLowerInvariant()] = setting[(equal + 1)..];
            }
            rest = rest[(close + 1)..];
        }
        int at = rest.IndexOf('@', StringComparison.Ordinal);
        string? output = at < 0 ? defaults.Output : rest[(at + 1)..];
        string label = at < 0 ? rest : rest[..at];
        if (label.Length > 0 && label[0] != ':') throw Wrong(text, $"'{label}' is not understood");
        if (label == ":" || output?.Length == 0) throw Wrong(text, "a name is missing");
        if (!Table.TryGetValue(kind, out Func<Settings, Loss>? make))
            throw new ToolException($"--loss '{kind}' is not known; expected one of {Kinds}, written {Grammar}.");
        var given = new Settings(text, settings, label.Length == 0 ? null : label[1..], output, defaults);
        Loss loss = make(given);
        if (settings.Keys.Except(given.Asked).ToArray() is { Length: > 0 } unknown)
        {
            throw Wrong(text, $"{kind} has no setting {string.Join(", ", unknown.Select(u => $"'{u}'"))}; "
                + (given.Asked.Count == 0 ? "it has none" : $"it has {string.Join(", ", given.Asked.Order(StringComparer.Ordinal))}"));
        }
        return (loss, weight);
    }

    private static ToolException Wrong(string text, string what) => new($"--loss '{text}': {what}. Expected {Grammar}.");

    private sealed class Settings(string text, Dictionary<string, string> values, string? label, string? output, LossDefaults defaults)
    {
        public HashSet<string> Asked { get; } = new(StringComparer.Ordinal);

        public string? Label => label;

        public string? Output => output;

        public LossDefaults Defaults => defaults;

        public Reduction Reduction => Text("reduction") switch
        {
            null or "mean" => Reduction.Mean,
            "sum" => Reduction.Sum,
            string other => throw Wrong(text, $"reduction is '{other}', not mean or sum"),
        };

        public string? Text(string name)
        {
            Asked.Add(name);
            return values.GetValueOrDefault(name);
        }

        public string Needed(string name) =>
            Text(name) ?? throw Wrong(text, $"the setting {name} is missing: the model's tensor of that role, as {name}=TENSOR");

        public double Number(string name, double fallback) => Text(name) is not string value ? fallback
            : double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) ? number
            : throw Wrong(text, $"{name} is '{value}', no number");

        public bool? Flag(string name) => Text(name) is not string value ? null
            : bool.TryParse(value, out bool flag) ? flag : throw Wrong(text, $"{name} is '{value}', not true or false");

        public Loss OfClasses(ClassLoss loss) => loss with
        {
            Output = output,
            LabelName = label ?? loss.LabelName,
            Reduction = Reduction,
            ClassWeights = defaults.ClassWeights,
            ClassAxis = values.ContainsKey("class_axis") ? (int)Number("class_axis", 0) : defaults.ClassAxis,
            IgnoreIndex = Text("ignore_label") is null ? defaults.IgnoreLabel : (long)Number("ignore_label", 0),
        };

        public Loss OfElements(ElementLoss loss) => loss with { Output = output, TargetName = label ?? loss.TargetName };
    }
}

// What the options beside --loss say of every loss that has such a setting.
internal sealed record LossDefaults
{
    public string? Output { get; init; }

    public double LabelSmoothing { get; init; }

    public System.Collections.Immutable.ImmutableArray<float> ClassWeights { get; init; } = [];

    public int? ClassAxis { get; init; }

    public long IgnoreLabel { get; init; } = -100;
}
