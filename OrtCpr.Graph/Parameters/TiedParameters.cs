using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Parameters;

/// <summary>A copy of a parameter that exporters wrote beside it; it takes the parameter's value at export.</summary>
/// <param name="Name">The copy.</param>
/// <param name="Source">The parameter that is trained in its place.</param>
/// <param name="Transposed">Whether the copy is the transpose.</param>
/// <param name="Type">Element type that training works in.</param>
/// <param name="Dimensions">Shape of the copy.</param>
internal sealed record TiedParameter(string Name, string Source, bool Transposed, ElementType Type, IReadOnlyList<long> Dimensions);

/// <summary>Ties what one exporter pulled apart, and tells of what looks as if it were.</summary>
internal static class TiedParameters
{
    /// <summary>Readers of a copy read the original, through a Transpose where need be; the copy is gone from the
    /// graph.</summary>
    public static IReadOnlyList<TiedParameter> Tie(OnnxModel model)
    {
        OnnxGraph graph = model.Graph;
        var tied = new List<TiedParameter>();
        var written = new List<Node>();
        var builder = new GraphBuilder(graph, sink: written);
        var gone = new HashSet<Value>();
        foreach (Twin<Value> twin in TensorTwins.Find(Candidates(graph), v => v.Data!).Where(t => t.Kind != TwinKind.Reshaped))
        {
            builder.Scope = twin.Second.Name;
            bool transposed = twin.Kind == TwinKind.Transposed;
            graph.ReplaceReaders(twin.Second, transposed ? builder.Transpose(twin.First, 1, 0) : twin.First);
            gone.Add(twin.Second);
            tied.Add(new TiedParameter(twin.Second.Name, twin.First.Name, transposed, twin.Second.Type, twin.Second.Data!.Dimensions));
        }
        graph.Initializers.RemoveAll(gone.Contains);
        graph.Nodes.InsertRange(0, written);
        return tied;
    }

    /// <summary>Copies among the trained ones, and constants that hold a trained parameter's numbers and will not
    /// follow it.</summary>
    public static IEnumerable<string> Warnings(OnnxModel model, ParameterTable parameters)
    {
        var trained = parameters.Trained.Select(p => p.Name).ToHashSet(StringComparer.Ordinal);
        // Trained ones first, so that they are the originals.
        foreach (Twin<Value> twin in TensorTwins.Find(model.Graph.Initializers.Where(i => i.Type.IsFloating())
            .OrderByDescending(i => trained.Contains(i.Name)), v => v.Data!))
        {
            if (!trained.Contains(twin.First.Name)) continue;
            string how =
                twin.Kind switch { TwinKind.Transposed => "transposed", TwinKind.Reshaped => "in another shape", _ => "in the same shape" };
            if (trained.Contains(twin.Second.Name))
            {
                yield return $"Parameters '{twin.First.Name}' and '{twin.Second.Name}' hold the same numbers ({how}), as if an exporter "
                    + "had pulled one parameter apart. They are trained as two; "
                    + $"{nameof(ParameterOptions)}.{nameof(ParameterOptions.TieEqual)} (--tie) trains them as one.";
            }
            else
            {
                yield return $"The constant '{twin.Second.Name}' holds the numbers of parameter '{twin.First.Name}' ({how}) and will keep "
                    + "them while the parameter is trained: the exporter seems to have folded it. "
                    + $"Export without constant folding, train it too (ParameterOptions.Train), or freeze '{twin.First.Name}'.";
            }
        }
    }

    private static IEnumerable<Value> Candidates(OnnxGraph graph) =>
        graph.Initializers.Where(i => i.Type.IsFloating() && i.Place is { IsConstant: false });
}
