using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Losses;

/// <summary>What a loss works on: the model's outputs, labels as new inputs, and a builder for operators.</summary>
public sealed class LossContext
{
    private readonly OnnxGraph _graph;

    internal LossContext(OnnxGraph graph, GraphBuilder builder)
    {
        _graph = graph;
        G = builder;
    }

    /// <summary>Writes operators after the model.</summary>
    public GraphBuilder G { get; }

    internal List<Value> Labels { get; } = [];

    internal List<string> Warnings { get; } = [];

    /// <summary>An output of the model.</summary>
    /// <param name="output">Its name; null for the only one.</param>
    /// <exception cref="OptionException">There is none of that name, or there are several and none is named.</exception>
    public Term Find(string? output)
    {
        if (output is null)
        {
            if (_graph.Outputs.Count == 1) return G.Term(_graph.Outputs[0]);
            throw new OptionException(
                $"The model has {_graph.Outputs.Count} outputs ({Names(_graph.Outputs)}); "
                + $"say which one the loss takes by {nameof(Loss)}.{nameof(Loss.Output)}.");
        }
        return G.Term(_graph.Outputs.FirstOrDefault(o => o.Name == output)
            ?? throw new OptionException(
                $"The loss takes output '{output}', which the model does not have. Its outputs: {Names(_graph.Outputs)}."));
    }

    /// <summary>A floating output of known rank.</summary>
    /// <param name="output">Its name; null for the only one.</param>
    /// <exception cref="OptionException">As for <see cref="Find"/>, or it is not floating, or its rank is unknown.</exception>
    public Term FindFloating(string? output)
    {
        Term value = Find(output);
        if (!value.Type.IsFloating())
        {
            throw new OptionException(
                $"The loss takes output '{value.Name}', which is {value.Type}; expected a floating type. Outputs of the model: "
                + $"{Names(_graph.Outputs)}.");
        }
        if (value.Shape is null)
        {
            throw new OptionException(
                $"The rank of output '{value.Name}' is unknown, and the loss needs it. Export the model with a known output rank.");
        }
        return value;
    }

    /// <summary>A new graph input for labels; the model's own input of that name, or that of another loss, where there is one.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="type">Element type.</param>
    /// <param name="shape">Shape; symbols of the model's outputs make sizes agree.</param>
    /// <returns>The input. Where another tensor of the model has the name, or an input of another type, its name has a
    /// number added.</returns>
    public Term Label(string name, ElementType type, Shape shape)
    {
        Value? existing = _graph.Inputs.FirstOrDefault(i => i.Name == name && i.Type == type);
        if (existing is not null) return G.Term(existing);
        Value label = _graph.AddInput(name, type, shape);
        if (label.Name != name)
            Warnings.Add($"The model has a tensor '{name}' of its own, so the labels of the loss are the batch input '{label.Name}'.");
        Labels.Add(label);
        return G.Term(label);
    }

    /// <summary>What a loss has written from node <paramref name="first"/> on, or gives as its value, and reads from elsewhere than the
    /// graph.</summary>
    internal Value[] Foreign(int first, Value value) => OnnxGraph.Foreign(
        [.. _graph.Inputs, .. _graph.Initializers, .. G.Emitted.Take(first).SelectMany(n => n.Outputs).OfType<Value>()],
        G.Emitted.Skip(first), [value]);

    private static string Names(IEnumerable<Value> values) =>
        string.Join(", ", values.Select(v => $"'{v.Name}' {v.Type}{v.Shape?.ToString() ?? ""}"));
}
