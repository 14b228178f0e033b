using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Losses;

/// <summary>What a loss works on: the model's outputs, labels as new inputs, and a builder for operators.</summary>
public sealed class LossContext
{
    private readonly OnnxGraph _graph;
    private readonly Value[] _outputs;
    private readonly Func<IReadOnlyCollection<string>> _namesInFile;
    private readonly Dictionary<string, (Value Input, LossPart Part)> _labels = new(StringComparer.Ordinal);
    private Dictionary<string, Value>? _tensors;

    /// <param name="graph">The model.</param>
    /// <param name="builder">Writes behind it.</param>
    /// <param name="namesInFile">Names of the tensors of the model's file, asked for when one is not found.</param>
    internal LossContext(OnnxGraph graph, GraphBuilder builder, Func<IReadOnlyCollection<string>> namesInFile)
    {
        _graph = graph;
        _outputs = [.. graph.Outputs];
        _namesInFile = namesInFile;
        Part = new LossPart(new OutputLoss(), 1);
        G = builder;
    }

    /// <summary>Writes operators after the model.</summary>
    public GraphBuilder G { get; }

    internal List<Value> Labels { get; } = [];

    internal List<string> Warnings { get; } = [];

    /// <summary>The loss that is being attached.</summary>
    internal LossPart Part { get; set; }

    /// <summary>The model's inputs; not the labels that a loss has added.</summary>
    internal IEnumerable<Value> ModelInputs => _graph.Inputs.Where(i => !Labels.Contains(i));

    /// <summary>An input of the model by name; null where there is none.</summary>
    internal Value? ModelInput(string name) => ModelInputs.FirstOrDefault(i => i.Name == name);

    /// <summary>An output of the model, or another tensor of its main graph.</summary>
    /// <param name="output">Its name; null for the only output.</param>
    /// <exception cref="OptionException">There is none of that name, or there are several and none is named.</exception>
    public Term Find(string? output)
    {
        Value found = output is null ? OnlyOutput() : Named(output);
        Part.Output ??= found;
        return G.Term(found);
    }

    private Value OnlyOutput() => _outputs.Length == 1 ? _outputs[0]
        : throw new OptionException(
            $"The model has {_outputs.Length} outputs ({Names(_outputs)}); "
            + $"say which one the loss takes by {nameof(Loss)}.{nameof(Loss.Output)}.");

    private Value Named(string name)
    {
        if (_outputs.FirstOrDefault(o => o.Name == name) is Value output) return output;
        if (_tensors is null)
        {
            _tensors = new(StringComparer.Ordinal);
            foreach (Value value in _graph.Nodes.SelectMany(n => n.Outputs).OfType<Value>().Concat(_graph.Inputs)
                .Concat(_graph.Initializers))
            {
                _tensors.TryAdd(value.Name, value);
            }
        }
        if (_tensors.TryGetValue(name, out Value? tensor)) return tensor;
        string near = NearNames.Text(name, _tensors.Keys);
        throw new OptionException(_namesInFile().Contains(name)
            ? $"The loss takes '{name}', a tensor of the file that is gone when the loss is attached: a constant that was folded, or a "
                + $"part of an operator that was written in another form. Name a tensor in front of it or behind it.{near} "
                + $"Outputs of the model: {Names(_outputs)}."
            : $"The loss takes output '{name}', which the model does not have. Its outputs: {Names(_outputs)}. "
                + $"Any other tensor of its main graph may be named too.{near}");
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
                + $"{Names(_outputs)}.");
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
    /// <exception cref="OptionException">Another loss names the same labels and means others: of another type or shape, or, under
    /// the name that losses of its kind have by default, of another output.</exception>
    public Term Label(string name, ElementType type, Shape shape)
    {
        if (_labels.TryGetValue(name, out (Value Input, LossPart Part) known))
        {
            bool agree = known.Input.Type == type && known.Input.Shape is Shape old && old.Rank == shape.Rank
                && old.Zip(shape).All(d => d.First.Equals(d.Second));
            // A name that somebody gave twice is meant; one that two losses have by themselves is not.
            bool isMeant = known.Part == Part || known.Part.Output == Part.Output || !LossPart.DefaultLabels.Contains(name);
            if (!agree || !isMeant) throw TwoLosses(name, known.Part, known.Input, type, shape);
            Part.LabelInputs.Add(known.Input);
            return G.Term(known.Input);
        }
        Value? label = _graph.Inputs.FirstOrDefault(i => i.Name == name && i.Type == type);
        if (label is null)
        {
            label = _graph.AddInput(name, type, shape);
            if (label.Name != name)
            {
                Warnings.Add(
                    $"The model has a tensor '{name}' of its own, so the labels of the loss are the batch input '{label.Name}'.");
            }
            Labels.Add(label);
        }
        _labels[name] = (label, Part);
        Part.LabelInputs.Add(label);
        return G.Term(label);
    }

    private OptionException TwoLosses(string name, LossPart first, Value known, ElementType type, Shape shape) => new(
        $"These two losses name '{name}': {first.Loss.Kind} of '{first.Output?.Name}' takes {known.Type}{known.Shape}, {Part.Loss.Kind} of "
        + $"'{Part.Output?.Name}' {type}{shape}. Give one of them a name of its own by {Part.Loss.LabelProperty}.");

    /// <summary>What a loss has written from node <paramref name="first"/> on, or gives as its value, and reads from elsewhere than the
    /// graph.</summary>
    internal Value[] Foreign(int first, Value value) => OnnxGraph.Foreign(
        [.. _graph.Inputs, .. _graph.Initializers, .. G.Emitted.Take(first).SelectMany(n => n.Outputs).OfType<Value>()],
        G.Emitted.Skip(first), [value]);

    private static string Names(IEnumerable<Value> values) =>
        string.Join(", ", values.Select(v => $"'{v.Name}' {v.Type}{v.Shape?.ToString() ?? ""}"));
}
