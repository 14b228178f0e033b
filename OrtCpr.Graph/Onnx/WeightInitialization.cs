using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Graph.Onnx;

/// <summary>Draws first weights by the rules in a model file: <c>training_info.initialization</c>, a graph without inputs, and
/// <c>initialization_binding</c>, which says which output is which initializer.</summary>
internal static class WeightInitialization
{
    /// <summary>Names of the initializers that the model has a rule for.</summary>
    internal static IEnumerable<string> Targets(ModelProto model) =>
        model.TrainingInfo.SelectMany(info => info.InitializationBinding).Select(binding => binding.Key);

    /// <summary>True when an initializer's external file is not there, so that weights must be drawn before the model can run.</summary>
    internal static bool IsNeeded(ModelFile model) => model.Proto.Graph.Initializer.Any(tensor =>
        ExternalDataReference.IsExternal(tensor) && ExternalDataCheck.IsAbsent(model, tensor, out _));

    /// <summary>Draws the value of every initializer that has a rule, also of those whose data are there.</summary>
    /// <param name="model">The model; it is not changed.</param>
    /// <param name="seed">Same seed, same bits, on every machine and in any order of nodes: each output has a stream of its own,
    /// keyed by seed and output name. A node's <c>seed</c> attribute wins.</param>
    /// <returns>Values by initializer name, of the initializers' types and shapes.</returns>
    /// <exception cref="ModelFormatException">The rules use an operator that is not supported, or don't fit the initializers; lists
    /// all.</exception>
    internal static IReadOnlyDictionary<string, TensorData> Draw(ModelFile model, long seed)
    {
        Dictionary<string, TensorData> drawn = [];
        List<string> problems = [];
        Dictionary<string, TensorProto> initializers = [];
        foreach (TensorProto tensor in model.Proto.Graph.Initializer)
            initializers[tensor.Name] = tensor;
        foreach (TrainingInfoProto info in model.Proto.TrainingInfo.Where(info => info.InitializationBinding.Count > 0))
        {
            Dictionary<string, TensorData> values = new InitializationGraph(model, seed).Evaluate(info.Initialization ?? new GraphProto());
            // State of a training algorithm is initialized by the same rules; it is none of the model's weights.
            HashSet<string> state = [.. (info.Algorithm ?? new GraphProto()).Initializer.Select(i => i.Name)];
            foreach (StringStringEntryProto binding in info.InitializationBinding.Where(b => !state.Contains(b.Key)))
            {
                if (!initializers.TryGetValue(binding.Key, out TensorProto? initializer))
                {
                    problems.Add($"'{binding.Key}': expected an initializer of the graph; found none.");
                }
                else if (!values.TryGetValue(binding.Value, out TensorData? value))
                {
                    problems.Add($"'{binding.Key}': expected an output '{binding.Value}' of the initialization; found none.");
                }
                else if ((int)value.Type != initializer.DataType || !value.Dimensions.SequenceEqual(initializer.Dims))
                {
                    problems.Add($"'{binding.Key}': expected {TensorLayout.Describe((ElementType)initializer.DataType, initializer.Dims)}; "
                        + "" +
                        $"found {value} in '{binding.Value}'.");
                }
                else
                {
                    drawn[binding.Key] = value;
                }
            }
        }
        if (problems.Count > 0)
        {
            ModelFormatException.Throw(model.Name, "has initialization rules that don't fit its initializers", problems,
                "Mend training_info, or put the weights beside the model.");
        }
        return drawn;
    }
}
