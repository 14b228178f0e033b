using System.Globalization;
using System.Text;

namespace OrtCpr.Graph.Parameters;

/// <summary>What a floating initializer is in the model.</summary>
public enum ParameterRole
{
    /// <summary>A matrix or kernel.</summary>
    Weight,
    /// <summary>Added along the last or the channel axis.</summary>
    Bias,
    /// <summary>Gain of a normalisation.</summary>
    Norm,
    /// <summary>A table gathered by integer indices, or positions added to such rows.</summary>
    Embedding,
    /// <summary>A trained vector or scalar of another kind: class token, logit scale.</summary>
    Other,
    /// <summary>Running mean or variance of a BatchNormalization.</summary>
    RunningStatistic,
    /// <summary>Not trained.</summary>
    Constant,
}

/// <summary>One floating initializer of the model and what training does with it.</summary>
public sealed record ParameterInfo
{
    /// <summary>Name in the model's file; of a tensor without one there, the name that its place has.</summary>
    public required string Name { get; init; }

    /// <summary>Element type that training works in.</summary>
    public required ElementType Type { get; init; }

    /// <summary>Shape, outermost first; empty for a scalar.</summary>
    public required IReadOnlyList<long> Dimensions { get; init; }

    /// <summary>What it is, by its use in the graph.</summary>
    public required ParameterRole Role { get; init; }

    /// <summary>Whether training changes it.</summary>
    public required bool Trained { get; init; }

    /// <summary>Whether bounds and weight decay apply where it is trained.</summary>
    public bool Constrained { get; init; }

    /// <summary>Index of its rule in <see cref="Optimizers.OptimizerOptions.Groups"/>; of no meaning where it is not trained.</summary>
    public int Group { get; init; }

    /// <summary>Why trained or not, and why constrained or not.</summary>
    public required string Reason { get; init; }

    /// <summary>Number of elements.</summary>
    public long ElementCount => Dimensions.Aggregate(1L, (n, d) => n * d);
}

/// <summary>All floating initializers of a model, in file order.</summary>
public sealed class ParameterTable
{
    internal ParameterTable(IReadOnlyList<ParameterInfo> all) => All = all;

    /// <summary>Every floating tensor that may hold a parameter, trained or not.</summary>
    public IReadOnlyList<ParameterInfo> All { get; }

    /// <summary>Those that have a gradient and are updated, in file order.</summary>
    public IReadOnlyList<ParameterInfo> Trained => [.. All.Where(p => p.Trained)];

    /// <summary>The trained and constrained ones.</summary>
    public IReadOnlyList<ParameterInfo> Constrained => [.. All.Where(p => p.Trained && p.Constrained)];

    /// <summary>A table for people: name, shape, role, trained, constrained, group, reason.</summary>
    public override string ToString()
    {
        string[] head = ["name", "shape", "role", "trained", "constrained", "group", "reason"];
        List<string[]> rows = [head, .. All.Select(p => new[]
        {
            p.Name, $"[{string.Join(',', p.Dimensions)}]", p.Role.ToString().ToLowerInvariant(),
            p.Trained ? "yes" : "no", p.Constrained ? "yes" : "no",
            p.Trained ? p.Group.ToString(CultureInfo.InvariantCulture) : "-", p.Reason,
        })];
        int[] widths = [.. Enumerable.Range(0, head.Length).Select(c => rows.Max(r => r[c].Length))];
        var text = new StringBuilder();
        foreach (string[] row in rows)
            text.AppendLine(string.Join("  ", row.Select((cell, c) => c == row.Length - 1 ? cell : cell.PadRight(widths[c]))));
        long trained = Trained.Sum(p => p.ElementCount), constrained = Constrained.Sum(p => p.ElementCount);
        text.Append(CultureInfo.InvariantCulture, $"{Trained.Count} of {All.Count} tensors trained ({trained:N0} elements), ");
        text.Append(CultureInfo.InvariantCulture, $"{Constrained.Count} constrained ({constrained:N0} elements)");
        return text.ToString();
    }
}
