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

/// <summary>A loss to attach to a model. Made by <see cref="CrossEntropyLoss"/>, <see cref="MseLoss"/> or <see cref="OutputLoss"/>.</summary>
public abstract record Loss
{
    private protected Loss()
    {
    }

    /// <summary>The model output that the loss takes; null for the only one.</summary>
    public string? Output { get; init; }

    // Emits the loss behind the model's outputs; adds inputs for labels. Returns the scalar.
    internal abstract Value Attach(LossContext context);

    internal virtual IEnumerable<string> Problems() => [];
}

// What a loss works on.
internal sealed class LossContext(OnnxGraph graph, GraphBuilder builder)
{
    public GraphBuilder G => builder;

    public List<Value> Labels { get; } = [];

    public Value Find(string? output)
    {
        if (output is null)
        {
            if (graph.Outputs.Count == 1) return graph.Outputs[0];
            throw new OptionException($"The model has {graph.Outputs.Count} outputs ({Names(graph.Outputs)}); say which one the loss takes by {nameof(Loss)}.{nameof(Loss.Output)}.");
        }
        return graph.Outputs.FirstOrDefault(o => o.Name == output)
            ?? throw new OptionException($"The loss takes output '{output}', which the model does not have. Its outputs: {Names(graph.Outputs)}.");
    }

    public Value FindFloating(string? output)
    {
        Value value = Find(output);
        if (!value.Type.IsFloating()) throw new OptionException($"The loss takes output '{value.Name}', which is {value.Type}; expected a floating type. Outputs of the model: {Names(graph.Outputs)}.");
        if (value.Shape is null) throw new OptionException($"The rank of output '{value.Name}' is unknown, and the loss needs it. Export the model with a known output rank.");
        return value;
    }

    // A new graph input for labels; the model's own input of that name where it has one.
    public Value Label(string name, ElementType type, Shape shape)
    {
        Value? existing = graph.Inputs.FirstOrDefault(i => i.Name == name);
        if (existing is not null)
        {
            if (existing.Type != type) throw new OptionException($"The model has an input '{name}' of type {existing.Type}; the loss needs labels of type {type} under that name. Choose another label name.");
            return existing;
        }
        Value label = graph.AddInput(name, type, shape);
        if (label.Name != name) throw new OptionException($"The name '{name}' for the labels is taken by a tensor of the model. Choose another label name.");
        Labels.Add(label);
        return label;
    }

    private static string Names(IEnumerable<Value> values) => string.Join(", ", values.Select(v => $"'{v.Name}' {v.Type}{v.Shape?.ToString() ?? ""}"));
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

/// <summary>Squared error (PyTorch <c>MSELoss</c>).</summary>
/// <param name="Reduction">Mean over all elements (default) or sum.</param>
public sealed record MseLoss(Reduction Reduction = Reduction.Mean) : Loss
{
    /// <summary>Name of the input with the targets, of the output's type and shape. Default <c>target</c>.</summary>
    public string TargetName { get; init; } = "target";

    internal override Value Attach(LossContext context)
    {
        Value output = context.FindFloating(Output);
        Value target = context.Label(TargetName, output.Type, output.Shape!);
        Value error = context.G.Sub(output, target);
        Value square = context.G.Mul(error, error);
        return Reduction == Reduction.Mean ? context.G.ReduceMean(square, false) : context.G.ReduceSum(square, false);
    }
}
