using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Losses;

/// <summary>One loss of a sum, or the only one, while it is attached: what it takes and what it has come to.</summary>
internal sealed class LossPart(Loss loss, double factor)
{
    /// <summary>Names that labels have where nobody says another.</summary>
    public static readonly IReadOnlySet<string> DefaultLabels =
        new HashSet<string>(StringComparer.Ordinal) { "labels", "target", "variance", "label_lengths", "input_lengths" };

    public Loss Loss { get; } = loss;

    public double Factor { get; } = factor;

    /// <summary>The tensor that was asked for first.</summary>
    public Value? Output { get; set; }

    /// <summary>Its labels, shared ones included.</summary>
    public List<Value> LabelInputs { get; } = [];

    /// <summary>For labels that are classes: the axis of the classes in the output.</summary>
    public int? ClassAxis { get; set; }

    /// <summary>For labels that are classes: how many there are, where that is known.</summary>
    public long? Classes { get; set; }

    /// <summary>Whether the label is a probability for each class, of the output's shape.</summary>
    public bool TakesProbabilities { get; set; }

    /// <summary>For labels that are classes: the one that does not count.</summary>
    public long? IgnoredLabel { get; set; }

    public LossValue Result { get; set; }
}
