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

    /// <summary>The 16-bit types that training may use there, with the operators that have kernels for them; other operators run in
    /// float32 between Casts. A type without a row is refused.</summary>
    public ImmutableDictionary<ElementType, LowKernels> LowPrecision { get; init; } =
        ImmutableDictionary.Create<ElementType, LowKernels>();

    /// <summary>Whether an operator of ONNX, or <c>domain.Op</c>, has a kernel for a 16-bit type.</summary>
    public bool HasKernel(string op, ElementType low) => LowPrecision.TryGetValue(low, out LowKernels? kernels) && kernels.Has(op);

    /// <summary>What moves elements whatever their type.</summary>
    private static readonly string[] Movement =
        ["Concat", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "Reshape", "Shape", "Slice", "Split", "Squeeze",
            "Transpose", "Unsqueeze"];

    /// <summary>The CPU provider. It has no arithmetic in bfloat16, and in float16 only on some processors: float32 between Casts gives the
    /// same numbers on all.</summary>
    public static DeviceCapabilities Cpu { get; } = new("CPU")
    {
        LowPrecision = ImmutableDictionary.CreateRange<ElementType, LowKernels>(
            [new(ElementType.BFloat16, LowKernels.Of(Movement)), new(ElementType.Float16, LowKernels.Of(Movement))]),
    };

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
        // docs/OperatorKernels.md of ONNX Runtime. ONNX has Conv, AveragePool, Cos, Sin, HardSigmoid and HardSwish in bfloat16 only from
        // opset 22 on, where most other kernels end.
        LowPrecision = ImmutableDictionary.CreateRange<ElementType, LowKernels>(
        [
            new(ElementType.BFloat16, LowKernels.Of([.. Movement, "Abs", "Add", "Div", "Expand", "Gelu", "Gemm", "MatMul", "Max", "Min",
                "Mul", "Neg", "Relu", "Sigmoid", "Sub", "Sum", "Tanh", "Tile", "Trilu", "Where", "com.microsoft.BiasGelu",
                "com.microsoft.FastGelu", "com.microsoft.FusedMatMul", "com.microsoft.Gelu", "com.microsoft.QuickGelu"])),
            new(ElementType.Float16, LowKernels.AllBut(["Celu", "Mish", "Swish"])),
        ]),
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

/// <summary>The operators that have a kernel for a type.</summary>
internal sealed record LowKernels
{
    private readonly ImmutableHashSet<string> _named;
    private readonly bool _areMissing;

    private LowKernels(IEnumerable<string> named, bool areMissing) =>
        (_named, _areMissing) = (named.ToImmutableHashSet(StringComparer.Ordinal), areMissing);

    /// <summary>These and no others.</summary>
    public static LowKernels Of(IEnumerable<string> operators) => new(operators, areMissing: false);

    /// <summary>All that float32 has but these.</summary>
    public static LowKernels AllBut(IEnumerable<string> operators) => new(operators, areMissing: true);

    /// <summary>Whether an operator has one.</summary>
    public bool Has(string op) => _named.Contains(op) != _areMissing;
}
