using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>Where inputs have their batch.</summary>
/// <param name="Size">The fixed size.</param>
/// <param name="Axes">Input → axis, for those that have one.</param>
internal sealed record BatchAxes(long Size, IReadOnlyDictionary<string, int> Axes)
{
    /// <summary>The first dimension of the first input is the batch; so is that of each other input where it has the
    /// same size, or else the second, as in states of recurrent layers. Null where an input's first dimension is free,
    /// or none has one.</summary>
    public static BatchAxes? Of(OnnxGraph graph, IReadOnlyDictionary<string, int> given)
    {
        string[] problems = [.. given.Where(g => graph.Inputs.FirstOrDefault(i => i.Name == g.Key) is not Value input
            || (g.Value >= 0 && input.Shape is not null && g.Value >= input.Shape.Rank))
            .Select(g => $"'{g.Key}' has no axis {g.Value}")];
        if (problems.Length > 0)
        {
            throw new OptionException(
                $"{nameof(TrainingOptions.BatchAxes)} do not fit the model: {string.Join("; ", problems)}. Its inputs: "
                + $"{string.Join(", ", graph.Inputs.Select(i => i.ToString()))}.");
        }
        // Sparse tensors and sequences keep what the file says of them.
        if (graph.Inputs.Any(i => i.Type == ElementType.Undefined)) return null;
        long? size = null;
        var axes = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (Value input in graph.Inputs.OrderBy(i => given.ContainsKey(i.Name) ? 0 : 1))
        {
            if (input.Shape is not { Rank: > 0 } shape) continue;
            if (given.TryGetValue(input.Name, out int chosen))
            {
                if (chosen < 0) continue;
                if (chosen >= shape.Rank || shape[chosen].Known is not long known) return null;
                size ??= known;
                axes[input.Name] = chosen;
                continue;
            }
            if (shape[0].Known is not long first) return null;
            size ??= first;
            if (first == size) axes[input.Name] = 0;
            else if (shape.Rank > 1 && shape[1].Known == size) axes[input.Name] = 1;
        }
        return size is > 0 && axes.Count > 0 ? new BatchAxes(size.Value, axes) : null;
    }
}
