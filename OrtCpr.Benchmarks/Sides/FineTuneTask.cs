using OrtCpr.Benchmarks.Peers;
using OrtCpr.Graph;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Benchmarks.Sides;

/// <summary>Fine-tuning of a classifier: all of its weights, or its new head alone.</summary>
internal abstract class FineTuneTask : TrainingTask
{
    /// <summary>Classes of the head.</summary>
    public const int Classes = 10;

    /// <summary>What the parameters of the head begin with.</summary>
    public const string Head = "head.";

    protected const double LearningRate = 1e-4;

    private readonly UpdateRule _rule;

    protected FineTuneTask(bool isHeadOnly, UpdateRule rule) => (IsHeadOnly, _rule) = (isHeadOnly, rule);

    /// <summary>Whether the body is frozen, and runs as in inference.</summary>
    public bool IsHeadOnly { get; }

    public override string Name => "finetune";

    public override double Goal => 1;

    public override IReadOnlyList<(string Name, long[] Dimensions)> Parameters =>
        [.. Weights.Select(w => (w.Key, w.Value.Dimensions.ToArray()))];

    /// <summary>The model, weights and all.</summary>
    public abstract byte[] Model { get; }

    /// <summary>The weights that the model is made with, by name; running statistics are none.</summary>
    public abstract IReadOnlyDictionary<string, TensorData> Weights { get; }

    public override TrainingOptions Options => new()
    {
        Loss = new CrossEntropyLoss(),
        Optimizer = new OptimizerOptions { Groups = [_rule] },
        BatchNormalization = IsHeadOnly ? BatchNormalizationMode.Inference : BatchNormalizationMode.Training,
        UnbiasedRunningVariance = true,
        Parameters = new() { TrainOnly = IsHeadOnly ? [$"{Head}*"] : [] },
    };

    /// <summary>Inputs and classes of the batch, for a session without labels.</summary>
    public Batch NewInputs() => AddInputs(new Batch());

    public override Batch NewBatch() => AddInputs(new Batch()).Add("labels", Labels, Labels.Length);

    /// <summary>A class for each example.</summary>
    protected abstract long[] Labels { get; }

    /// <summary>The examples.</summary>
    protected abstract Batch AddInputs(Batch batch);

    /// <summary>The same job in TorchSharp with the same weights.</summary>
    public TorchTraining NewPeer() => NewPeer(TorchTraining.Copy(Weights));

    /// <summary>Whether a weight is trained.</summary>
    protected bool Trains(string name) => !IsHeadOnly || name.StartsWith(Head, StringComparison.Ordinal);

    /// <summary>The optimizers that our side is measured with.</summary>
    public static IReadOnlyList<(string Name, UpdateRule Rule)> Rules =>
    [
        ("AdamW", UpdateRule.AdamW(LearningRate, weightDecay: 0.1)), ("AdamCPR", OurSides.ActiveAdamCpr(LearningRate)),
    ];
}
