using System.Collections.Immutable;

namespace OrtCpr.Graph;

/// <summary>What an execution provider cannot do, as far as graphs and bindings have to know. A provider is a row here.</summary>
/// <param name="Name">Provider, as in messages.</param>
internal sealed record DeviceCapabilities(string Name)
{
    /// <summary>A node may read and write one buffer. Where it may not, an Identity stands in front of each state output.</summary>
    public bool InPlace { get; init; } = true;

    /// <summary>Runs graphs as a whole only when all shapes are numbers, since shape arithmetic would go to the CPU: one session for each
    /// size of batch.</summary>
    public bool StaticShapes { get; init; }

    /// <summary>Leaves shape arithmetic to the CPU by design, where its operators want their shapes: the provider's own choice, which costs
    /// no copy of a tensor. What else it leaves there is refused, as everywhere.</summary>
    public bool HostShapes { get; init; }

    /// <summary>Has float64 kernels.</summary>
    public bool Float64 { get; init; } = true;

    /// <summary>Operators are registered up to this opset of ai.onnx; null for all. Later opsets that only widened types are lowered to
    /// it.</summary>
    public int? HighestOpset { get; init; }

    /// <summary>Looks through a window of MaxPool column by column: on a tie its index is not that of the first maximum in row-major
    /// order.</summary>
    public bool ColumnMajorMaxPool { get; init; }

    /// <summary>Operators without a kernel, or without a complete or exact one, as <c>Op</c> or <c>domain.Op</c>; each has a row in the
    /// pass that replaces them.</summary>
    public ImmutableHashSet<string> Missing { get; init; } = [];

    /// <summary>The CPU provider.</summary>
    public static DeviceCapabilities Cpu { get; } = new("CPU");

    /// <summary>NVIDIA's CUDA provider.</summary>
    public static DeviceCapabilities Cuda { get; } = new("CUDA")
    {
        HostShapes = true,
        HighestOpset = 21,
        ColumnMajorMaxPool = true,
        // ConvTranspose, GRU, LSTM and RNN in some variants only.
        Missing =
        [
            "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Celu", "ConvTranspose", "Cosh", "GRU", "GlobalLpPool", "Hardmax", "LSTM",
            "LpPool", "MaxUnpool", "Mean", "MeanVarianceNormalization", "RNN", "Sinh", "Tan", "com.microsoft.AttnLSTM",
            "com.microsoft.ExpandDims", "com.microsoft.GatherND", "com.microsoft.Pad", "com.microsoft.SampleOp",
        ],
    };

    /// <summary>The WebGPU provider plugin: forbids aliasing inside a node, has no float64, and lacks some operators.</summary>
    public static DeviceCapabilities WebGpu { get; } = new("WebGPU")
    {
        InPlace = false,
        StaticShapes = true,
        Float64 = false,
        Missing = ["com.microsoft.FusedMatMul", "BatchNormalization", "ConstantOfShape", "LogSoftmax", "MaxPool", "Mod", "OneHot", "Or",
            "Sign", "Size", "Sum", "Tanh"],
    };
}
