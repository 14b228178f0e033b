using System.Text;
using OrtCpr.Graph.Ir;
using static System.FormattableString;

namespace OrtCpr.Graph.Losses;

/// <summary>How the losses of single elements or rows become one number.</summary>
public enum Reduction
{
    /// <summary>Their (weighted) mean.</summary>
    Mean,
    /// <summary>Their sum.</summary>
    Sum,
}

/// <summary>A loss to attach to a model. A kind of loss is a record; own ones are written by <see cref="CustomLoss"/>.</summary>
public abstract record Loss
{
    private protected Loss()
    {
    }

    /// <summary>The tensor that the loss takes: an output of the model, or any other tensor of its main graph by its name in the file;
    /// null for the only output.</summary>
    public string? Output { get; init; }

    /// <summary>Names of the inputs that the loss adds to the training graph: what a <c>Batch</c> must hold beside the model's inputs.
    /// <c>labels</c> for classes, <c>target</c> for the element-wise losses, unless they are told another; empty for
    /// <see cref="OutputLoss"/>; not known before the graph is built for <see cref="CustomLoss"/>, and empty too.</summary>
    /// <remarks>Where the model has a tensor of that name the input gets a number added. With shapes and types they are
    /// in <see cref="TrainingPlan.BatchInputs"/>.</remarks>
    public virtual IReadOnlyList<string> Labels => [];

    /// <summary>Emits the loss after the model's outputs; adds inputs for labels.</summary>
    internal abstract LossValue Attach(LossContext context);

    /// <summary>The losses that it is the sum of, with their factors: itself, for all but sums.</summary>
    internal virtual IEnumerable<(Loss Loss, double Factor)> Parts => [(this, 1)];

    /// <summary>Its kind as logs and the command line write it: <c>cross_entropy</c>.</summary>
    internal string Kind
    {
        get
        {
            string name = GetType().Name;
            if (name.EndsWith("Loss", StringComparison.Ordinal)) name = name[..^4];
            var text = new StringBuilder();
            foreach (char c in name)
            {
                if (char.IsUpper(c) && text.Length > 0) text.Append('_');
                text.Append(char.ToLowerInvariant(c));
            }
            return text.ToString();
        }
    }

    /// <summary>The option that names its labels.</summary>
    internal virtual string LabelProperty => nameof(Labels);

    internal virtual IEnumerable<string> Problems() => [];

    private protected static IEnumerable<string> Empty(string name, string value) =>
        string.IsNullOrEmpty(value) ? [$"{name} is empty"] : [];

    private protected static IEnumerable<string> NotFinite(string name, double value) =>
        double.IsFinite(value) ? [] : [Invariant($"{name} is {value}; expected a finite number")];

    private protected static IEnumerable<string> NotPositive(string name, double value) =>
        value > 0 && double.IsFinite(value) ? [] : [Invariant($"{name} is {value}; expected a finite number above 0")];

    private protected static IEnumerable<string> BelowZero(string name, double value) =>
        value >= 0 && double.IsFinite(value) ? [] : [Invariant($"{name} is {value}; expected a finite number of at least 0")];
}

/// <summary>An output of the model is the loss itself: a floating scalar, or a tensor whose elements are summed or averaged.</summary>
/// <remarks>Of a scalar nobody knows what it divides by: batches are put together by their numbers of examples.</remarks>
/// <param name="Reduction">For outputs of more than one element. Default Mean.</param>
public sealed record OutputLoss(Reduction Reduction = Reduction.Mean) : Loss
{
    internal override LossValue Attach(LossContext context)
    {
        GraphBuilder g = context.G;
        Term output = context.FindFloating(Output);
        if (output.Shape!.Rank == 0) return new(output, LossDivisor.Examples);
        if (output.Shape.ElementCount?.Constant == 1) return new(g.Reshape(output, g.Ints()), LossDivisor.Examples);
        return LossValue.Of(g, output, Reduction, output);
    }
}
