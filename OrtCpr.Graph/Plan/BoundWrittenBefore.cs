using System.Text.Json;
using System.Text.Json.Nodes;

namespace OrtCpr.Graph.Optimizers;

/// <summary>How files had a bound before <see cref="Bound"/>: as properties of the constraint itself, of which each method used its
/// own.</summary>
internal sealed record BoundWrittenBefore(
    BoundKind KappaInitMethod = BoundKind.InflectionPoint, double? KappaInitParam = null, KappaScale KappaScale = KappaScale.Sum,
    long? SampleInterval = null, double SampleDecay = 0, long MaxWaitSteps = 0)
{
    /// <summary>Reads JSON with rules, and says their bounds as they are said now.</summary>
    /// <exception cref="JsonException">It is no JSON.</exception>
    public static JsonNode? Parse(ReadOnlySpan<byte> utf8)
    {
        JsonNode? node = JsonNode.Parse(utf8, documentOptions: new JsonDocumentOptions { AllowDuplicateProperties = false });
        BringUpToDate(node);
        return node;
    }

    private static void BringUpToDate(JsonNode? node)
    {
        if (node is JsonArray items)
        {
            foreach (JsonNode? item in items) BringUpToDate(item);
        }
        if (node is not JsonObject values) return;
        if (values.ContainsKey(nameof(KappaInitMethod)))
        {
            BoundWrittenBefore before = values.Deserialize(GraphJson.Default.BoundWrittenBefore)!;
            values[nameof(ConstrainNorm.Bound)] = JsonSerializer.SerializeToNode(before.ToBound(), GraphJson.Default.Bound);
            return;
        }
        foreach ((string _, JsonNode? value) in values) BringUpToDate(value);
    }

    private Bound ToBound() =>
        Bound.Of(KappaInitMethod.ToString(), KappaInitParam, SampleInterval, SampleDecay, MaxWaitSteps, KappaScale);
}
