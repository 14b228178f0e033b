using Google.Protobuf;
using OrtCpr.Graph;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Onnx.Proto;

namespace OrtCpr.Tests.Onnx;

[TestClass]
public sealed class TensorSerializerTests
{
    [TestMethod]
    public void WriteThenRead_GivesEveryTypeBack()
    {
        foreach (ElementType type in Enum.GetValues<ElementType>().Where(type => type.BitsPerElement() > 0))
        {
            byte[] bytes = [.. Enumerable.Range(1, ((3 * type.BitsPerElement()) + 7) / 8).Select(i => (byte)i)];
            TensorData tensor = TensorData.Create(type, [3], bytes);
            TensorData read = Read(TensorProto.Parser.ParseFrom(TensorSerializer.Write("t", tensor).ToByteArray()));
            Assert.AreEqual(type, read.Type);
            CollectionAssert.AreEqual(bytes, read.Bytes.ToArray());
        }
        TensorData texts = Read(TensorSerializer.Write("t", TensorData.FromStrings(["ä", ""], 2)));
        CollectionAssert.AreEqual("ä"u8.ToArray(), texts.Strings![0].ToArray());
        Assert.IsTrue(texts.Strings[1].IsEmpty);
    }

    [TestMethod]
    public void Read_UnderstandsFloatAndDoubleData()
    {
        CollectionAssert.AreEqual(new[] { 1f, -2.5f }, Read(Tensor(ElementType.Float, t => t.FloatData.Add([1, -2.5f]))).ToArray<float>());
        CollectionAssert.AreEqual(new[] { 1, -2.5 }, Read(Tensor(ElementType.Double, t => t.DoubleData.Add([1, -2.5]))).ToArray<double>());
        Assert.AreEqual(16, Read(Tensor(ElementType.Complex64, t => t.FloatData.Add([1, 2, 3, 4]))).Bytes.Length);
        Assert.AreEqual(32, Read(Tensor(ElementType.Complex128, t => t.DoubleData.Add([1, 2, 3, 4]))).Bytes.Length);
    }

    [TestMethod]
    public void Read_UnderstandsWideIntegers()
    {
        CollectionAssert.AreEqual(new[] { 1, long.MinValue },
            Read(Tensor(ElementType.Int64, t => t.Int64Data.Add([1, long.MinValue]))).ToArray<long>());
        CollectionAssert.AreEqual(new ulong[] { 1, ulong.MaxValue },
            Read(Tensor(ElementType.UInt64, t => t.Uint64Data.Add([1, ulong.MaxValue]))).ToArray<ulong>());
        CollectionAssert.AreEqual(new uint[] { 1, uint.MaxValue },
            Read(Tensor(ElementType.UInt32, t => t.Uint64Data.Add([1, uint.MaxValue]))).ToArray<uint>());
    }

    [TestMethod]
    [DataRow(ElementType.Int32, -2)]
    [DataRow(ElementType.Int16, -2)]
    [DataRow(ElementType.Int8, -2)]
    [DataRow(ElementType.UInt16, 65534)]
    [DataRow(ElementType.UInt8, 254)]
    [DataRow(ElementType.Bool, 0)]
    public void Read_UnderstandsNarrowIntegersInInt32Data(ElementType type, int value) =>
        CollectionAssert.AreEqual(new long[] { 1, value }, Read(Tensor(type, t => t.Int32Data.Add([1, value]))).ToInt64s());

    [TestMethod]
    public void Read_UnderstandsFloatBitsInInt32Data()
    {
        CollectionAssert.AreEqual(new[] { 1.0, -2 }, Read(Tensor(ElementType.Float16, t => t.Int32Data.Add([0x3C00, 0xC000]))).ToDoubles());
        CollectionAssert.AreEqual(new[] { 1.0, -2 },
            Read(Tensor(ElementType.BFloat16, t => t.Int32Data.Add([0x3F80, 0xC000]))).ToDoubles());
        CollectionAssert.AreEqual(new[] { 1.0, -1 },
            Read(Tensor(ElementType.Float8E4M3FN, t => t.Int32Data.Add([0x38, 0xB8]))).ToDoubles());
    }

    [TestMethod]
    public void Read_UnderstandsPackedBytesInInt32Data()
    {
        CollectionAssert.AreEqual(new long[] { 1, -1 }, Read(Tensor(ElementType.Int4, t => t.Int32Data.Add(0xF1))).ToInt64s());
        CollectionAssert.AreEqual(new long[] { 1, -1 }, Read(Tensor(ElementType.Int4, t => t.Int32Data.Add(-15))).ToInt64s());
        CollectionAssert.AreEqual(new long[] { 1, 15 }, Read(Tensor(ElementType.UInt4, t => t.Int32Data.Add(0xF1))).ToInt64s());
        CollectionAssert.AreEqual(new long[] { 1, -1 }, Read(Tensor(ElementType.Int2, t => t.Int32Data.Add(0x0D))).ToInt64s());
    }

    [TestMethod]
    public void Read_RefusesValuesOutsideTheType()
    {
        OnnxModels.Contains(Error(Tensor(ElementType.UInt8, t => t.Int32Data.Add([1, 256]))), "'t'", "255", "256 at 1");
        OnnxModels.Contains(Error(Tensor(ElementType.UInt32, t => t.Uint64Data.Add([ulong.MaxValue, 1]))), "'t'", "4294967295",
            "18446744073709551615 at 0");
        OnnxModels.Contains(Error(Tensor(ElementType.Bool, t => t.Int32Data.Add([1, 2]))), "'t'", "2 at 1");
    }

    [TestMethod]
    public void Read_RefusesTheWrongNumberOfElements()
    {
        OnnxModels.Contains(Error(Tensor(ElementType.Float, t => t.FloatData.Add(1))), "'t'", "expected 2 values in float_data", "found 1");
        OnnxModels.Contains(Error(Tensor(ElementType.Float, t => t.DoubleData.Add([1, 2]))), "'t'", "found 0", "double_data");
        OnnxModels.Contains(Error(Tensor(ElementType.Float, t => t.RawData = ByteString.CopyFrom(1, 2, 3))), "'t'", "expected 8 bytes",
            "found 3");
        OnnxModels.Contains(Error(Tensor(ElementType.Float, _ => { })), "'t'", "expected 8 bytes", "found 0");
        OnnxModels.Contains(Error(Tensor(ElementType.String, t => t.StringData.Add(ByteString.Empty))), "'t'", "expected 2", "found 1");
    }

    [TestMethod]
    public void Read_RefusesTwoEncodingsSegmentsAndUnknownTypes()
    {
        OnnxModels.Contains(Error(Tensor(ElementType.Float, t =>
        {
            t.FloatData.Add([1, 2]);
            t.RawData = ByteString.CopyFrom(new byte[8]);
        })), "'t'", "raw_data", "float_data");
        OnnxModels.Contains(Error(Tensor(ElementType.Float, t => t.Segment = new TensorProto.Types.Segment())), "'t'", "segment");
        OnnxModels.Contains(Error(Tensor((ElementType)99, _ => { })), "'t'", "99");
    }

    [TestMethod]
    public void Read_RefusesNegativeAndOverflowingDimensions()
    {
        OnnxModels.Contains(Error(Tensor(ElementType.Float, t => t.Dims.Add(-3))), "'t'", "-3 at axis 1");
        OnnxModels.Contains(Error(Tensor(ElementType.Float, t => t.Dims.Add([long.MaxValue, long.MaxValue]))), "'t'", "2 GiB");
    }

    private static TensorProto Tensor(ElementType type, Action<TensorProto> fill)
    {
        TensorProto tensor = new() { Name = "t", DataType = (int)type, Dims = { 2 } };
        fill(tensor);
        return tensor;
    }

    private static TensorData Read(TensorProto tensor) =>
        TensorSerializer.Read(new TensorSite(tensor, $"initializer '{tensor.Name}'"), null, "m.onnx");

    private static string Error(TensorProto tensor)
    {
        string message = Assert.ThrowsExactly<ModelFormatException>(() => Read(tensor)).Message;
        Assert.Contains("m.onnx", message);
        return message;
    }
}
