using System.Text;
using OrtCpr.CustomOps;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Tests.CustomOps;

/// <summary>
/// The bytes of a model of one <c>ortcpr</c> node whose operands are the model's, of unknown shape. A dozen protobuf fields
/// written by hand (numbers from onnx.proto), so that these tests need nothing of the graph side.
/// </summary>
internal static class OperatorModel
{
    private const int IrVersion = 8;
    private const int OnnxOpset = 18;

    public static byte[] Of(OperatorDefinition definition) => Of(definition, definition.Inputs);

    /// <summary>What an output is called, since an input may have its name.</summary>
    public static string NameOfOutput(OperatorSlot output) => $"new_{output.Name}";

    public static byte[] Of(OperatorDefinition definition, IReadOnlyList<OperatorSlot> inputs)
    {
        IReadOnlyList<OperatorSlot> outputs = definition.Outputs;
        byte[] node =
        [
            .. inputs.SelectMany(input => Text(1, input.Name)),
            .. outputs.SelectMany(output => Text(2, NameOfOutput(output))),
            .. Text(3, "update"),
            .. Text(4, definition.Name),
            .. Text(7, OperatorDefinition.Domain),
        ];
        byte[] graph =
        [
            .. Message(1, node),
            .. Text(2, "graph"),
            .. inputs.SelectMany(input => Message(11, ValueInfo(input, input.Name))),
            .. outputs.SelectMany(output => Message(12, ValueInfo(output, NameOfOutput(output)))),
        ];
        return
        [
            .. Number(1, IrVersion),
            .. Message(7, graph),
            .. Message(8, [.. Text(1, ""), .. Number(2, OnnxOpset)]),
            .. Message(8, [.. Text(1, OperatorDefinition.Domain), .. Number(2, 1)]),
        ];
    }

    /// <summary>ValueInfoProto { name, type { tensor_type { elem_type } } }.</summary>
    private static byte[] ValueInfo(OperatorSlot slot, string name) =>
        [.. Text(1, name), .. Message(2, Message(1, Number(1, (int)OperatorKernel.TypeOf(slot))))];

    private static byte[] Text(int field, string text) => Message(field, Encoding.UTF8.GetBytes(text));

    private static byte[] Message(int field, byte[] content) => [.. Varint((field << 3) | 2), .. Varint(content.Length), .. content];

    private static byte[] Number(int field, int value) => [.. Varint(field << 3), .. Varint(value)];

    private static IEnumerable<byte> Varint(int value)
    {
        for (; value >= 0x80; value >>= 7)
            yield return (byte)(value | 0x80);
        yield return (byte)value;
    }
}
