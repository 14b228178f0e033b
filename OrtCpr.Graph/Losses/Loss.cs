using OrtCpr.Graph.Ir;

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

    /// <summary>The model output that the loss takes; null for the only one.</summary>
    public string? Output { get; init; }

    /// <summary>Names of the inputs that the loss adds to the training graph: what a <c>Batch</c> must hold beside the model's inputs.
    /// One for the losses of this library, <c>labels</c> of <see cref="CrossEntropyLoss"/> and <c>target</c> of the element-wise ones,
    /// unless they are told another; empty for <see cref="OutputLoss"/>; not known before the graph is built for
    /// <see cref="CustomLoss"/>, and empty too.</summary>
    /// <remarks>Where the model has a tensor of that name the input gets a number added. With shapes and types they are
    /// in <see cref="TrainingPlan.BatchInputs"/>.</remarks>
    public virtual IReadOnlyList<string> Labels => [];

    /// <summary>Emits the loss after the model's outputs; adds inputs for labels. Returns the scalar.</summary>
    internal abstract Value Attach(LossContext context);

    internal virtual IEnumerable<string> Problems() => [];
}

/// <summary>An output of the model is the loss itself: a floating scalar, or a tensor whose elements are summed or averaged.</summary>
/// <param name="Reduction">For outputs of more than one element. Default Mean.</param>
public sealed record OutputLoss(Reduction Reduction = Reduction.Mean) : Loss
{
    internal override Value Attach(LossContext context)
    {
        Value output = context.FindFloating(Output);
        if (output.Shape!.Rank == 0) return output;
        if (output.Shape.ElementCount?.Constant == 1) return context.G.Reshape(output, context.G.Ints());
        return Reduction == Reduction.Mean ? context.G.ReduceMean(output, false) : context.G.ReduceSum(output, false);
    }
}
