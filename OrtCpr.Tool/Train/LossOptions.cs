using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using OrtCpr.Data;
using OrtCpr.Graph.Losses;

namespace OrtCpr.Tool.Train;

// The options of every command that attaches a loss to a model.
internal sealed class LossOptions
{
    private readonly Option<string[]> _loss = new("--loss")
    {
        Description = $"{LossText.Grammar}; given several times, their sum. Kinds: {LossText.Kinds}. As cross_entropy, "
            + "mse:boxes@pred*0.4, huber(delta=2). LABELS: the batch input with labels or targets; OUTPUT: any tensor of the model.",
        DefaultValueFactory = _ => ["cross_entropy"],
    };
    private readonly Option<string?> _output = new("--output")
    {
        Description = "The model's output, or any other tensor of its graph, that the loss takes; needed where there are several outputs.",
    };
    private readonly Option<double> _smoothing =
        new("--label-smoothing") { Description = "cross_entropy: share of the target that is spread over the classes." };
    private readonly Option<string?> _weights = new("--class-weights")
    {
        Description = "Losses of classes: one weight a class, as 1,2,4, or a text file with one a line; or from how often each class comes "
            + "in the training data: balanced (inverse frequency), effective or effective=0.999 (effective number of examples).",
    };
    private readonly Option<long> _ignored =
        new("--ignore-label") { Description = "Losses of classes: the label that does not count.", DefaultValueFactory = _ => -100 };
    private readonly Option<int?> _axis = new("--class-axis")
    {
        Description = "Losses of classes: axis of the classes, 1 for [batch, classes, …], -1 for the last; by default what the "
            + "model tells.",
    };

    private Option[] All => [_loss, _output, _smoothing, _weights, _ignored, _axis];

    public void AddTo(Command command)
    {
        foreach (Option option in All) command.Add(option);
    }

    /// <summary>Whether the command line says anything of the loss.</summary>
    public bool IsGiven(ParseResult r) => All.Any(option => r.GetResult(option) is { Implicit: false });

    /// <summary>The loss.</summary>
    /// <param name="r">The command line.</param>
    /// <param name="training">The data that class weights are counted in; null where there are none.</param>
    public Loss Read(ParseResult r, DataSource? training = null) => LossText.Parse(r.GetValue(_loss)!, new LossDefaults
    {
        Output = r.GetValue(_output),
        LabelSmoothing = r.GetValue(_smoothing),
        ClassWeights = r.GetValue(_weights) is string weights ? Counted(weights, training) ?? [.. Weights(weights)] : [],
        ClassAxis = r.GetValue(_axis),
        IgnoreLabel = r.GetValue(_ignored),
    });

    public string Text(ParseResult r) => string.Join(" + ", r.GetValue(_loss)!);

    // Weights that the training data tell; null where the text is no way to count.
    private static ImmutableArray<float>? Counted(string text, DataSource? training)
    {
        string[] parts = text.Split('=', 2);
        if (parts[0] is not ("balanced" or "effective")) return null;
        if (training is null)
            throw new ToolException($"--class-weights {text} counts the classes of training data, and there are none here.");
        if (parts[0] == "balanced" && parts.Length == 1) return ClassWeights.InverseFrequency(training);
        return parts.Length == 1 ? ClassWeights.EffectiveNumber(training)
            : parts[0] == "effective" && double.TryParse(parts[1], NumberStyles.Float, CultureInfo.InvariantCulture, out double beta)
                && beta is >= 0 and < 1 ? ClassWeights.EffectiveNumber(training, beta)
            : throw new ToolException($"--class-weights '{text}': expected balanced, effective, or effective=X with X from 0 to below 1.");
    }

    private static IEnumerable<float> Weights(string text)
    {
        string[] parts;
        try
        {
            parts = File.Exists(text) ? File.ReadAllLines(text) : text.Split(',');
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new ToolException($"--class-weights '{text}' can't be read: {error.Message}");
        }
        foreach (string part in parts.Select(p => p.Trim()).Where(p => p.Length > 0))
        {
            yield return float.TryParse(part, NumberStyles.Float, CultureInfo.InvariantCulture, out float weight) ? weight
                : throw new ToolException($"--class-weights: '{part}' is no number; expected one weight a class, as 1,2,4, or a file.");
        }
    }
}
