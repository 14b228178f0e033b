using System.Text.Json.Serialization;

namespace OrtCpr.Graph.OnnxTraining;

/// <summary>A value under the name that the file gives it and the name that it has in its graph of the plan.</summary>
internal sealed record NamePair(string InFile, string InGraph);

/// <summary>A graph of the plan within the graphs of the file.</summary>
internal sealed record PartDescription
{
    /// <summary>The operator set that it is written in; that of the file is the highest of all parts.</summary>
    public int Opset { get; init; }

    /// <summary>Its outputs, in order.</summary>
    public IReadOnlyList<NamePair> Outputs { get; init; } = [];

    /// <summary>The values whose name another part of the file had first.</summary>
    public IReadOnlyList<NamePair> Renamed { get; init; } = [];
}

/// <summary>What <c>training_info</c> has no place for: how its graphs come apart again, and what the plan says beside its graphs. It is
/// the metadata entry <see cref="MetadataKey"/> of the model.</summary>
internal sealed record TrainingInfoDescription
{
    /// <summary>The version that is written.</summary>
    public const int Version = 1;

    public const string MetadataKey = "ortcpr.training_info";

    public int FormatVersion { get; init; }

    public PlanDescription Plan { get; init; } = new();

    public PartDescription Training { get; init; } = new();

    public PartDescription Optimizer { get; init; } = new();

    public PartDescription Evaluation { get; init; } = new();

    /// <summary>The initializer that holds a tensor of the job, by the tensor's key.</summary>
    public IReadOnlyDictionary<string, string> Initializers { get; init; } = new Dictionary<string, string>();

    /// <summary>The constant of the training graph that stands for the gradient of the loss; null where batches are not weighed.</summary>
    public string? Seed { get; init; }

    /// <summary>Rates, schedules and frozen parameters, as the driver writes them; null where a plan was written.</summary>
    public string? Job { get; init; }
}

/// <summary>The JSON of the description, by serializers that are made when the library is compiled.</summary>
[JsonSourceGenerationOptions(NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals, UseStringEnumConverter = true)]
[JsonSerializable(typeof(TrainingInfoDescription))]
internal sealed partial class TrainingInfoJson : JsonSerializerContext;
