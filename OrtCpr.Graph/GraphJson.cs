using System.Text.Json;
using System.Text.Json.Serialization;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.OrtTraining;

namespace OrtCpr.Graph;

// Everything of ours that is written as JSON with graphs, with serializers that are made when the library is compiled: no reflection, so that trimmed and ahead-of-time
// compiled programs read and write it too.
[JsonSourceGenerationOptions(NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals, UseStringEnumConverter = true)]
[JsonSerializable(typeof(PlanDescription))]
[JsonSerializable(typeof(PlanDescriptionOfVersion1))]
[JsonSerializable(typeof(OptimizerModelDescription))]
[JsonSerializable(typeof(Bound))]
[JsonSerializable(typeof(BoundWrittenBefore))]
internal sealed partial class GraphJson : JsonSerializerContext
{
    // With line breaks, for files that people look into.
    public static GraphJson Indented => new(new JsonSerializerOptions(Default.Options) { WriteIndented = true });
}
