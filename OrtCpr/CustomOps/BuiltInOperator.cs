using System.Text;

namespace OrtCpr.CustomOps;

/// <summary>An attribute of an operator of ONNX Runtime's: a list of integers, one integer, one number or a text.</summary>
internal sealed record BuiltInAttribute(string Name, object Value);

/// <summary>An operator of ORT's own, called from inside a kernel (OrtApi CreateOp and InvokeOp): the provider's
/// kernel, on the session's threads. Made with a kernel and released with it; runs of one kernel may use it at the same
/// time.</summary>
internal static unsafe class BuiltInOperator
{
    /// <summary>OrtOpAttrType.</summary>
    private const int IntAttribute = 1;
    private const int IntsAttribute = 2;
    private const int FloatAttribute = 3;
    private const int TextAttribute = 5;

    private static readonly delegate* unmanaged<
        nint, byte*, byte*, int, byte**, OperandType*, int, nint*, int, int, int, nint*, nint> CreateFunction =
        (delegate* unmanaged<nint, byte*, byte*, int, byte**, OperandType*, int, nint*, int, int, int, nint*, nint>)OrtNative.Function(
            "CreateOp");

    private static readonly delegate* unmanaged<nint, nint, nint*, int, nint*, int, nint> InvokeFunction =
        (delegate* unmanaged<nint, nint, nint*, int, nint*, int, nint>)OrtNative.Function("InvokeOp");

    private static readonly delegate* unmanaged<nint, void> ReleaseFunction = (delegate* unmanaged<nint, void>)OrtNative.Function(
        "ReleaseOp");

    private static readonly delegate* unmanaged<byte*, void*, int, int, nint*, nint> CreateAttributeFunction =
        (delegate* unmanaged<byte*, void*, int, int, nint*, nint>)OrtNative.Function("CreateOpAttr");

    private static readonly delegate* unmanaged<nint, void> ReleaseAttributeFunction = (delegate* unmanaged<nint, void>)OrtNative.Function(
        "ReleaseOpAttr");

    /// <summary>For a kernel that is being made.</summary>
    /// <param name="info">OrtKernelInfo of the kernel.</param>
    /// <param name="domain">The operator's domain.</param>
    /// <param name="name">Its name.</param>
    /// <param name="version">The opset since which it is what it is.</param>
    /// <param name="inputs">Number of inputs, all of float.</param>
    /// <param name="given">All attributes that it reads: an operator that is made this way has no defaults.</param>
    /// <returns>An OrtOp with one output, for <see cref="Release"/>.</returns>
    public static nint Create(nint info, string domain, string name, int version, int inputs, IReadOnlyList<BuiltInAttribute> given)
    {
        var attributes = new List<nint>();
        try
        {
            foreach (BuiltInAttribute attribute in given) attributes.Add(Make(attribute));
            nint[] handles = [.. attributes];
            fixed (nint* values = handles)
            fixed (byte* text = Text(name), where = Text(domain), type = "T\0"u8)
            {
                byte* parameter = type;
                OperandType element = OperandType.Float;
                nint made;
                OrtNative.Check(
                    CreateFunction(info, text, where, version, &parameter, &element, 1, values, handles.Length, inputs, 1, &made));
                return made;
            }
        }
        finally
        {
            foreach (nint attribute in attributes) ReleaseAttributeFunction(attribute);
        }
    }

    /// <summary>Runs one from inside a running kernel.</summary>
    /// <param name="context">OrtKernelContext.</param>
    /// <param name="made">Of <see cref="Create"/>.</param>
    /// <param name="inputs">OrtValues.</param>
    /// <param name="count">How many.</param>
    /// <param name="output">An OrtValue over memory of the right size.</param>
    public static void Invoke(nint context, nint made, nint* inputs, int count, nint output) =>
        OrtNative.Check(InvokeFunction(context, made, inputs, count, &output, 1));

    /// <summary>Gives back what <see cref="Create"/> made; 0 is nothing.</summary>
    public static void Release(nint made)
    {
        if (made != 0)
            ReleaseFunction(made);
    }

    private static byte[] Text(string value) => Encoding.UTF8.GetBytes(value + '\0');

    private static nint Make(BuiltInAttribute attribute)
    {
        switch (attribute.Value)
        {
            case long number:
                return Make(attribute.Name, &number, 1, IntAttribute);
            case float number:
                return Make(attribute.Name, &number, 1, FloatAttribute);
            case long[] numbers:
                fixed (long* all = numbers)
                    return Make(attribute.Name, all, numbers.Length, IntsAttribute);
            default:
                byte[] text = Text((string)attribute.Value);
                fixed (byte* all = text)
                    return Make(attribute.Name, all, text.Length - 1, TextAttribute);
        }
    }

    private static nint Make(string name, void* value, int count, int type)
    {
        nint attribute;
        fixed (byte* text = Text(name))
            OrtNative.Check(CreateAttributeFunction(text, value, count, type, &attribute));
        return attribute;
    }
}
