using System.Text;
using System.Text.RegularExpressions;

namespace OrtCpr.Tool;

/// <summary>Messages of the library name members of its options; whoever sits at a command line knows options. Everything that goes to the
/// standard error stream passes here. What stands in quotes is the user's own and stays.</summary>
internal static partial class OptionNames
{
    // A member, without its type, and the option that sets it.
    private static readonly Dictionary<string, string> Options = new(StringComparer.Ordinal)
    {
        ["Output"] = "--output",
        ["LabelName"] = "--loss KIND:LABELS",
        ["TargetName"] = "--loss KIND:LABELS",
        ["ClassAxis"] = "--class-axis",
        ["ClassWeights"] = "--class-weights",
        ["IgnoreIndex"] = "--ignore-label",
        ["LabelSmoothing"] = "--label-smoothing",
        ["Train"] = "--train",
        ["TrainOnly"] = "--train-only",
        ["Freeze"] = "--freeze",
        ["TieEqual"] = "--tie",
        ["RegularizeEmbeddings"] = "--reg-embedding",
        ["Recompute"] = "--recompute",
        ["BatchNormalization"] = "--batch-normalization",
        ["Dropout"] = "--dropout",
        ["StraightThrough"] = "--straight-through",
        ["Rules"] = "--straight-through",
        ["Seed"] = "--seed",
        ["Precision"] = "--precision",
        ["GradientAccumulation"] = "--accumulation",
        ["Epochs"] = "--epochs",
        ["MaxSteps"] = "--steps",
        ["EvaluateEverySteps"] = "--evaluate-every",
        ["Validation"] = "--validation",
        ["Metrics"] = "--metric",
        ["EverySteps"] = "--checkpoint-every",
        ["Best"] = "--monitor",
        ["Resume"] = "--resume",
        ["BatchSize"] = "--batch-size",
        ["FreeBatch"] = "--keep-batch",
        ["BatchAxes"] = "--batch-axis",
        ["DropLast"] = "--drop-last",
        ["Constants"] = "--set",
        ["Columns"] = "--column",
        ["Workers"] = "--workers",
        ["Damaged"] = "--damaged",
        ["MaxPixels"] = "--image-max-pixels",
        ["CropFraction"] = "--image-crop",
        ["CacheBytes"] = "--image-cache",
        ["Labels"] = "--image-labels",
        ["Mean"] = "--mean",
        ["Deviation"] = "--std",
        ["Mixup"] = "--augmentation mixup",
        ["Cutmix"] = "--augmentation cutmix",
        ["CropArea"] = "--augmentation crop",
        ["CropAspect"] = "--augmentation aspect",
        ["HorizontalFlip"] = "--augmentation flip",
        ["VerticalFlip"] = "--augmentation vertical-flip",
        ["Brightness"] = "--augmentation brightness",
        ["Contrast"] = "--augmentation contrast",
        ["Saturation"] = "--augmentation saturation",
        ["Hue"] = "--augmentation hue",
        ["Rotation"] = "--augmentation rotation",
        ["Erasing"] = "--augmentation erasing",
        ["MaxLength"] = "--max-length",
        ["LengthMultiple"] = "--length-multiple",
        ["SimilarLengths"] = "--similar-lengths",
        ["LabelsWords"] = "--label-words",
        ["Categorical"] = "--categorical",
        ["MissingValue"] = "--missing-value",
        ["MaxGradientNorm"] = "--max-grad-norm",
        ["LearningRate"] = "--lr",
        ["Device"] = "--device",
        ["Threads"] = "--threads",
        ["KappaInitParam"] = "--kappa-init-param",
        ["KappaInitMethod"] = "--kappa-init-method",
        ["Bound"] = "--kappa-init-method",
        ["KappaUpdate"] = "--kappa-update",
        ["RegularizeByLearningRate"] = "--reg-by-lr",
        ["Beta1"] = "--beta1",
        ["Beta2"] = "--beta2",
    };

    // Losses by their types.
    private static readonly Dictionary<string, string> Losses = new(StringComparer.Ordinal)
    {
        ["CrossEntropyLoss"] = "--loss cross_entropy",
        ["SoftCrossEntropyLoss"] = "--loss soft_cross_entropy",
        ["KlDivergenceLoss"] = "--loss kl_divergence",
        ["NllLoss"] = "--loss nll",
        ["BceLoss"] = "--loss bce",
        ["BceWithLogitsLoss"] = "--loss bce_with_logits",
        ["OutputLoss"] = "--loss output",
    };

    /// <summary>The same message for the command line.</summary>
    public static string Say(string message) => Words().Replace(message, match =>
    {
        string text = match.Value;
        if (text[0] is '\'' or '"') return text;
        if (match.Groups["kind"] is { Success: true } kind) return Losses[kind.Value];
        string member = match.Groups["member"].Value;
        if (Options.TryGetValue(member, out string? option)) return option;
        // An option of the library that the command line does not have.
        return match.Groups["type"].Success ? $"the library's {Spaced(member)}" : text;
    });

    private static string Spaced(string member)
    {
        var words = new StringBuilder();
        foreach (char c in member)
        {
            if (char.IsUpper(c) && words.Length > 0) words.Append(' ');
            words.Append(char.ToLowerInvariant(c));
        }
        return words.ToString();
    }

    /// <summary>A writer that says everything so.</summary>
    public static TextWriter Writer(TextWriter output) => new Translating(output);

    // Quoted texts; a loss with its kind behind it, or alone; a member of a type; and members whose names are no plain words.
    [GeneratedRegex("""
        '[^'\n]*'|"[^"\n]*"
        |(?<!\w)(?<kind>CrossEntropyLoss|SoftCrossEntropyLoss|KlDivergenceLoss|NllLoss|BceLoss|BceWithLogitsLoss|OutputLoss)
            (?:\ \(\w+\))?(?!\w)
        |(?<![\w.])(?<type>(?:FitOptions\.)?(?:\w+Options|Loss|ClassLoss|ImageAugmentation|GradientRules|ConstrainNorm|UpdateRule|Bound
            |FitOptions\.Checkpoint))
            \.(?<member>[A-Z]\w*)(?:\(\))?
        |(?<![\w.])(?<member>LabelName|TargetName|ClassAxis|ClassWeights|IgnoreIndex|LabelSmoothing|TrainOnly|TieEqual|GradientAccumulation
            |MaxSteps|EvaluateEverySteps|EverySteps|BatchAxes|BatchSize|DropLast|MaxGradientNorm|KappaInitParam|KappaInitMethod|KappaUpdate
            |RegularizeEmbeddings|MaxLength|LengthMultiple|SimilarLengths|LabelsWords|Categorical|MissingValue)(?!\w)
        """, RegexOptions.IgnorePatternWhitespace | RegexOptions.CultureInvariant)]
    private static partial Regex Words();

    private sealed class Translating(TextWriter output) : TextWriter
    {
        public override Encoding Encoding => output.Encoding;

        public override void Write(char value) => output.Write(value);

        public override void Write(string? value) => output.Write(value is null ? null : Say(value));

        public override void WriteLine(string? value) => output.WriteLine(value is null ? null : Say(value));

        public override void WriteLine() => output.WriteLine();

        public override void Flush() => output.Flush();
    }
}
