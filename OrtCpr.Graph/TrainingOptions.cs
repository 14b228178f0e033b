using System.Collections.Immutable;
using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Parameters;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Graph;

/// <summary>Everything that decides what the training graphs of a model look like.</summary>
public sealed record TrainingOptions
{
    /// <summary>The loss. Default: cross-entropy from the only output.</summary>
    public Loss Loss { get; init; } = new CrossEntropyLoss();

    /// <summary>The optimizer. Default: AdamCPR with its defaults.</summary>
    public OptimizerOptions Optimizer { get; init; } = new();

    /// <summary>Which parameters are trained, constrained and grouped, where the graph's own answer is not wanted.</summary>
    public ParameterOptions Parameters { get; init; } = new();

    /// <summary>In which numbers the products of training are computed; for models in float32. Default float32.</summary>
    /// <remarks>The CPU has no arithmetic in 16 bits: there the rounding is computed by casts, slower than float32 and good for checking
    /// numbers. An <see cref="OptionException"/> refuses a float64 model, and <see cref="Precision.Float16"/> without
    /// <see cref="OptimizerOptions.NonFiniteGuard"/>.</remarks>
    public Precision Precision { get; init; }

    /// <summary>How the loss is scaled in <see cref="Precision.Float16"/>; looked at in no other precision. Default: as PyTorch's
    /// GradScaler.</summary>
    public LossScaling LossScaling { get; init; } = new();

    /// <summary>BatchNormalization while training. Default: as exported.</summary>
    public BatchNormalizationMode BatchNormalization { get; init; } = BatchNormalizationMode.AsExported;

    /// <summary>Dropout while training; the evaluation graph never drops. Default: as exported.</summary>
    /// <remarks>Masks depend on <see cref="Seed"/>, the step and the micro-batch only: a resumed run draws the same.</remarks>
    public DropoutMode Dropout { get; init; } = DropoutMode.AsExported;

    /// <summary>Running variances with the unbiased batch variance, as PyTorch keeps them, instead of ONNX's population variance. Default
    /// off.</summary>
    public bool UnbiasedRunningVariance { get; init; }

    /// <summary>BatchNormalization in training mode by the examples of all ranks together instead of those of each rank; the same where
    /// one process trains alone. Default off, as in PyTorch. On the CPU, in float32.</summary>
    /// <remarks>Each node exchanges its sums twice in the forward pass and twice in the backward pass.</remarks>
    public bool SynchronizeBatchNormalization { get; init; }

    /// <summary>Model outputs that the training graph computes beside the loss, to be read after a TrainStep (for training accuracy, say).
    /// Default: none.</summary>
    public ImmutableArray<string> TrainingOutputs { get; init; } = [];

    /// <summary>Blocks of the model whose results are not kept for the way back but computed once more there: less memory for more time
    /// (activation checkpointing). Default: none.</summary>
    /// <remarks>Patterns over the names of the model's nodes, a block each. What the first of several <c>*</c> (or the first group of a
    /// regular expression) stands for tells blocks apart: <c>/layers.*/*</c> makes each layer one. A pattern that matches no node, or a
    /// block whose results come back into it, is an <see cref="OptionException"/>. For the CPU and CUDA.</remarks>
    public ImmutableArray<NamePattern> Recompute { get; init; } = [];

    /// <summary>Trains a model that was exported with a fixed batch on batches of any size. Default on.</summary>
    /// <remarks>Constants that hold the fixed size are written anew for training, evaluation and prediction; the export keeps them unless
    /// it is asked otherwise. Where that is not proved to be the same model, the batch stays fixed, and
    /// <see cref="TrainingPlan.Warnings"/> tell the node that is in the way.</remarks>
    public bool FreeBatch { get; init; } = true;

    /// <summary>The axis of the batch in inputs of the model where the graph's own answer is not wanted; a negative one for an input that
    /// has none. Default: the first axis, or, where that has another size than that of the first input, the second.</summary>
    public ImmutableDictionary<string, int> BatchAxes { get; init; } = ImmutableDictionary.Create<string, int>(StringComparer.Ordinal);

    /// <summary>Gradient rules. Default: the built-in table.</summary>
    public GradientRules Rules { get; init; } = GradientRules.Default;

    /// <summary>Seed for weights that the file describes but does not hold, and for dropout masks. Default 0.</summary>
    public long Seed { get; init; }

    /// <summary>Values that trained parameters start from in place of those of the file or the drawn ones, by name. Default:
    /// none.</summary>
    /// <remarks>Unlike a later overwrite they are there before the optimizer's start-up (rescaling) looks at the weights.</remarks>
    public ImmutableDictionary<string, TensorData> InitialParameters { get; init; } =
        ImmutableDictionary.Create<string, TensorData>(StringComparer.Ordinal);

    internal void Validate()
    {
        OptionException.ThrowIfAny("The loss has options out of range", [.. Loss.Problems()]);
        Optimizer.Validate();
        List<string> problems = [];
        if (!Enum.IsDefined(Precision))
            problems.Add($"{nameof(Precision)} is {(int)Precision}; expected {string.Join(", ", Enum.GetNames<Precision>())}");
        if (Precision == Precision.Float16)
        {
            problems.AddRange(LossScaling.Problems().Select(p => $"{nameof(LossScaling)}.{p}"));
            if (!Optimizer.NonFiniteGuard)
            {
                problems.Add($"{nameof(Precision)} is {Precision} and {nameof(OptimizerOptions)}."
                    + $"{nameof(OptimizerOptions.NonFiniteGuard)} is off; expected on, since the loss scale is found by the steps that it "
                    + "skips");
            }
        }
        OptionException.ThrowIfAny("The precision has options out of range", problems);
    }

    /// <summary>What cannot be known before the model is.</summary>
    internal void RefusePrecision(ElementType type)
    {
        if (Precision != Precision.Float32 && type != ElementType.Float)
        {
            throw new OptionException($"{nameof(TrainingOptions)}.{nameof(Precision)} is {Precision}, and the trained parameters are "
                + $"{type}; expected Float. Export the model in float32, or leave {nameof(Precision)} at {Precision.Float32}.");
        }
    }
}
