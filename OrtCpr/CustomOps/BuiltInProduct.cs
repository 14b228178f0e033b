using OrtCpr.Kernels;

namespace OrtCpr.CustomOps;

/// <summary>
/// ORT's own Gemm, called from inside a kernel (OrtApi CreateOp and InvokeOp): the matrix product of the provider, on the session's threads. Made with a kernel and released with it; runs of one kernel may use it at the same time.
/// </summary>
internal static unsafe class BuiltInProduct
{
    // OrtOpAttrType.
    private const int IntAttribute = 1;
    private const int FloatAttribute = 3;

    private const int GemmVersion = 13;

    private static readonly delegate* unmanaged<nint, byte*, byte*, int, byte**, OperandType*, int, nint*, int, int, int, nint*, nint> CreateFunction =
        (delegate* unmanaged<nint, byte*, byte*, int, byte**, OperandType*, int, nint*, int, int, int, nint*, nint>)OrtNative.Function("CreateOp");

    private static readonly delegate* unmanaged<nint, nint, nint*, int, nint*, int, nint> InvokeFunction =
        (delegate* unmanaged<nint, nint, nint*, int, nint*, int, nint>)OrtNative.Function("InvokeOp");

    private static readonly delegate* unmanaged<nint, void> ReleaseFunction = (delegate* unmanaged<nint, void>)OrtNative.Function("ReleaseOp");

    private static readonly delegate* unmanaged<byte*, void*, int, int, nint*, nint> CreateAttributeFunction =
        (delegate* unmanaged<byte*, void*, int, int, nint*, nint>)OrtNative.Function("CreateOpAttr");

    private static readonly delegate* unmanaged<nint, void> ReleaseAttributeFunction = (delegate* unmanaged<nint, void>)OrtNative.Function("ReleaseOpAttr");

    /// <summary>For a kernel that is being made.</summary>
    /// <param name="info">OrtKernelInfo of the kernel.</param>
    /// <param name="form">How the operands lie.</param>
    /// <returns>An OrtOp, for <see cref="Release"/>.</returns>
    public static nint Create(nint info, ProductForm form)
    {
        // An operator that is made this way has no defaults.
        const int Count = 4;
        nint* attributes = stackalloc nint[Count];
        int made = 0;
        long first = form == ProductForm.FirstTransposed ? 1 : 0, second = form == ProductForm.SecondTransposed ? 1 : 0;
        float factor = 1;
        try
        {
            attributes[made] = Attribute("transA\0"u8, &first, IntAttribute);
            made++;
            attributes[made] = Attribute("transB\0"u8, &second, IntAttribute);
            made++;
            attributes[made] = Attribute("alpha\0"u8, &factor, FloatAttribute);
            made++;
            attributes[made] = Attribute("beta\0"u8, &factor, FloatAttribute);
            made++;
            fixed (byte* gemm = "Gemm\0"u8, domain = "\0"u8, type = "T\0"u8)
            {
                byte* parameter = type;
                OperandType element = OperandType.Float;
                nint product;
                OrtNative.Check(CreateFunction(info, gemm, domain, GemmVersion, &parameter, &element, 1, attributes, Count, 2, 1, &product));
                return product;
            }
        }
        finally
        {
            while (made > 0)
                ReleaseAttributeFunction(attributes[--made]);
        }
    }

    private static nint Attribute(ReadOnlySpan<byte> name, void* value, int type)
    {
        nint attribute;
        fixed (byte* text = name)
            OrtNative.Check(CreateAttributeFunction(text, value, 1, type, &attribute));
        return attribute;
    }

    public static void Release(nint product) => ReleaseFunction(product);

    /// <summary>What a <see cref="MatrixProduct"/> of a running kernel needs.</summary>
    internal struct Call
    {
        public nint Product;
        public nint Context;
        public ProductForm Form;
    }

    /// <summary>See <see cref="MatrixProduct"/>; <paramref name="call"/> is a <see cref="Call"/>.</summary>
    public static void Run(void* call, float* a, float* b, float* y, nint m, nint n, nint k)
    {
        Call* running = (Call*)call;
        nint* inputs = stackalloc nint[2];
        nint output = 0;
        inputs[0] = inputs[1] = 0;
        try
        {
            inputs[0] = running->Form == ProductForm.FirstTransposed ? OrtNative.Wrap(a, k, m) : OrtNative.Wrap(a, m, k);
            inputs[1] = running->Form == ProductForm.SecondTransposed ? OrtNative.Wrap(b, n, k) : OrtNative.Wrap(b, k, n);
            output = OrtNative.Wrap(y, m, n);
            OrtNative.Check(InvokeFunction(running->Context, running->Product, inputs, 2, &output, 1));
        }
        finally
        {
            OrtNative.ReleaseValue(inputs[0]);
            OrtNative.ReleaseValue(inputs[1]);
            OrtNative.ReleaseValue(output);
        }
    }
}
