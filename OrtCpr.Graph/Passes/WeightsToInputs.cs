using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>Trained weights and statistics become graph inputs, never live initializers: ONNX Runtime would freeze
/// those when it folds.</summary>
internal static class WeightsToInputs
{
    /// <summary>Changes the initializers of the given names.</summary>
    /// <returns>Their values.</returns>
    public static Dictionary<string, TensorData> Run(OnnxModel model, IEnumerable<string> names)
    {
        var wanted = names.ToHashSet(StringComparer.Ordinal);
        var values = new Dictionary<string, TensorData>(StringComparer.Ordinal);
        foreach (Value value in model.Graph.Initializers.Where(i => wanted.Contains(i.Name)))
        {
            values[value.Name] = value.Data!;
            value.Data = null;
            value.Origin = null;
            model.Graph.Inputs.Add(value);
        }
        model.Graph.Initializers.RemoveAll(i => !i.IsInitializer);
        return values;
    }
}
