using System.Text.Json;
using System.Text.Json.Serialization;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Graph;

/// <summary>What is written as JSON about a plan, by serializers that are made when the library is compiled: no reflection, so that trimmed
/// and ahead-of-time compiled programs read and write it too.</summary>
[JsonSourceGenerationOptions(NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals, UseStringEnumConverter = true)]
[JsonSerializable(typeof(PlanDescription))]
[JsonSerializable(typeof(PlanDescriptionOfVersion1))]
[JsonSerializable(typeof(Bound))]
[JsonSerializable(typeof(BoundWrittenBefore))]
internal sealed partial class GraphJson : JsonSerializerContext
{
    /// <summary>With line breaks, for files that people look into.</summary>
    public static GraphJson Indented => new(new JsonSerializerOptions(Default.Options) { WriteIndented = true });
}
