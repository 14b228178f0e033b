using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using OrtCpr.Checkpoints;
using OrtCpr.Graph;

namespace OrtCpr.Tests.Checkpoints;

[TestClass]
public sealed class SafetensorsFileTests
{
    [TestMethod]
    public void WriteThenRead_GivesTensorsAndMetadataBack()
    {
        using TemporaryFolder folder = new();
        Dictionary<string, TensorData> tensors =
            new()
            {
                ["b"] = TensorData.From<long>([1, -2], 2),
                ["a.weight"] = TensorData.From<float>([1, 2, 3, 4, 5, 6], 2, 3),
                ["ä \"x\""] = TensorData.Scalar(true),
                ["empty"] = TensorData.From<double>([], 0, 4)
            };
        Dictionary<string, string> metadata = new() { ["step"] = "7", ["json"] = "{\"a\": [1]}" };
        SafetensorsFile.Write(folder["c.safetensors"], tensors, metadata);
        using SafetensorsFile read = SafetensorsFile.Read(folder["c.safetensors"]);
        CollectionAssert.AreEquivalent(metadata.ToArray(), read.Metadata.ToArray());
        Assert.HasCount(4, read.Tensors);
        foreach ((string name, TensorData tensor) in tensors)
        {
            Assert.AreEqual(tensor.ToString(), read.Tensors[name].ToString());
            CollectionAssert.AreEqual(tensor.Bytes.ToArray(), read.Tensors[name].Bytes.ToArray());
        }
        Assert.AreEqual("c.safetensors", folder.Listing);
    }

    [TestMethod]
    public void EveryDtype_RoundTrips()
    {
        foreach (ElementType type in new[] { ElementType.Double, ElementType.Float, ElementType.Float16, ElementType.BFloat16,
            ElementType.Int64, ElementType.Int32,
            ElementType.Int16, ElementType.Int8, ElementType.UInt64, ElementType.UInt32, ElementType.UInt16, ElementType.UInt8,
                ElementType.Bool })
        {
            byte[] bytes = [.. Enumerable.Range(0, 2 * type.BitsPerElement() / 8).Select(i => (byte)i)];
            TensorData read = ReadBytes(WriteBytes(("t", TensorData.Create(type, [2, 1], bytes)))).Tensors["t"];
            Assert.AreEqual(type, read.Type);
            CollectionAssert.AreEqual(bytes, read.Bytes.ToArray());
        }
    }

    [TestMethod]
    public void Write_IsSortedPaddedAndTheSameEveryTime()
    {
        byte[] bytes = WriteBytes(("b", TensorData.Scalar(2f)), ("a", TensorData.Scalar((byte)1)));
        string header = Encoding.UTF8.GetString(bytes, 8, (int)BinaryPrimitives.ReadInt64LittleEndian(bytes));
        Assert.AreEqual("""{"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"b":{"dtype":"F32","shape":[],"data_offsets":[1,5]}}""",
            header.TrimEnd(' '));
        Assert.AreEqual(0, header.Length % 8);
        CollectionAssert.AreEqual(bytes, WriteBytes(("a", TensorData.Scalar((byte)1)), ("b", TensorData.Scalar(2f))));
    }

    [TestMethod]
    public void AFileWithoutTensors_IsFine()
    {
        Assert.IsEmpty(ReadBytes(WriteBytes()).Tensors);
        Assert.IsEmpty(ReadBytes(WriteBytes()).Metadata);
    }

    [TestMethod]
    public void ForwardOnlyStreams_AreReadAndCheckedToTheirEnd()
    {
        byte[] bytes = WriteBytes(("t", TensorData.From<float>(new float[1_000_000], 1_000_000)));
        Assert.AreEqual("Float[1000000]", SafetensorsFile.Read(ForwardOnly(bytes)).Tensors["t"].ToString());
        Message(() => SafetensorsFile.Read(ForwardOnly([.. bytes, 1])), "more bytes");
        Message(() => SafetensorsFile.Read(ForwardOnly(bytes[..^1])), "'t'", "found 3999999");
        Message(() => SafetensorsFile.Read(ForwardOnly(bytes[..5])), "found 5");
    }

    [TestMethod]
    public void Entries_AreAskedOneAfterTheOther_InTheOrderOfNames()
    {
        List<string> asked = [];
        SafetensorsEntry Entry(string name, byte value) => new(name, ElementType.UInt8, [1], stream =>
        {
            asked.Add(name);
            stream.WriteByte(value);
        });
        using MemoryStream stream = new();
        SafetensorsFile.Write(stream,
            [Entry("b", 2), Entry("a", 1), SafetensorsEntry.From("c", ElementType.UInt8, [2], new byte[] { 3, 4 })]);
        Assert.AreEqual("a b", string.Join(' ', asked));
        CollectionAssert.AreEqual(new byte[] { 1, 2, 3, 4 }, stream.ToArray()[^4..]);
    }

    [TestMethod]
    public void Entries_ThatWriteTooLittleOrTooMuch_AreRefused_AndTheOldFileStays()
    {
        using TemporaryFolder folder = new();
        File.WriteAllText(folder["c"], "old");
        foreach (int count in new[] { 3, 5 })
        {
            string message = Message(() => SafetensorsFile.Write(folder["c"],
                [new SafetensorsEntry("w", ElementType.Float, [1], stream => stream.Write(new byte[count]))]), "'w'", "expected 4 bytes");
            Assert.Contains(count == 3 ? "found 3" : "found more", message);
            Assert.Contains(folder["c"], message);
        }
        Assert.AreEqual("old", File.ReadAllText(folder["c"]));
        Assert.AreEqual("c", folder.Listing);
    }

    [TestMethod]
    public void AFailingDisk_NamesTheFile_AndLeavesTheOldOne()
    {
        using TemporaryFolder folder = new();
        SafetensorsFile.Write(folder["c"], new Dictionary<string, TensorData> { ["a"] = TensorData.Scalar(1f) });
        string message = Assert.ThrowsExactly<FileAccessException>(() => SafetensorsFile.Write(folder["c"],
            [new SafetensorsEntry("w", ElementType.Float, [1], _ => throw new IOException("disk full"))])).Message;
        Assert.Contains(folder["c"], message);
        Assert.Contains("disk full", message);
        Assert.AreEqual("c", folder.Listing);
        Assert.AreEqual(1f, SafetensorsFile.Read(folder["c"]).Tensors["a"].ToArray<float>()[0]);
    }

    [TestMethod]
    public void AFileInUse_CanBeReplaced()
    {
        using TemporaryFolder folder = new();
        SafetensorsFile.Write(folder["c"], new Dictionary<string, TensorData> { ["a"] = TensorData.Scalar(1f) });
        SafetensorsFile old = SafetensorsFile.Read(folder["c"]);
        TensorData kept = TensorData.Scalar(old.Tensors["a"].ToArray<float>()[0]);
        old.Dispose();
        SafetensorsFile.Write(folder["c"], new Dictionary<string, TensorData> { ["a"] = TensorData.Scalar(2f) });
        Assert.AreEqual(1f, kept.ToArray<float>()[0]);
        Assert.AreEqual(2f, SafetensorsFile.Read(folder["c"]).Tensors["a"].ToArray<float>()[0]);
        Assert.ThrowsExactly<ObjectDisposedException>(() => old.Tensors["a"].ToArray<float>());
    }

    [TestMethod]
    public void Write_RefusesTypesAndNamesThatTheFormatLacks()
    {
        Message(() => WriteBytes(("s", TensorData.FromStrings(["x"], 1))), "'s'", "String");
        Message(() => WriteBytes(("i", TensorData.Create(ElementType.Int4, [2], new byte[1]))), "'i'", "Int4");
        Message(() => WriteBytes(("__metadata__", TensorData.Scalar(1f))), "'__metadata__'");
        SafetensorsEntry twice = SafetensorsEntry.From("w", TensorData.Scalar(1f));
        Message(() => SafetensorsFile.Write(Stream.Null, [twice, twice]), "'w'", "taken");
        Message(() => SafetensorsFile.Write(Stream.Null, [twice with { Dimensions = [-1] }]), "'w'", "-1");
    }

    [TestMethod]
    public void MissingFiles_AreNamed()
    {
        using TemporaryFolder folder = new();
        Assert.Contains(folder["none"], Assert.ThrowsExactly<FileAccessException>(() => SafetensorsFile.Read(folder["none"])).Message);
    }

    [TestMethod]
    public void LengthsBeyondTheFileOrReason_AreRefused()
    {
        Refused([], "found 0");
        Refused([1, 2, 3], "found 3");
        Refused([255, 255, 255, 255, 255, 255, 255, 255, 1], "18446744073709551615", "100000000");
        Refused([9, 0, 0, 0, 0, 0, 0, 0, .. "{}"u8], "length of 9", "2 bytes");
    }

    [TestMethod]
    [DataRow("{", 0, "JSON")]
    [DataRow("[]", 0, "object")]
    [DataRow("""{"w":3}""", 0, "'w'", "Number")]
    [DataRow("""{"w":{"shape":[],"data_offsets":[0,4]}}""", 4, "'w'", "dtype")]
    [DataRow("""{"w":{"dtype":"F8_E4M3","shape":[],"data_offsets":[0,1]}}""", 1, "'w'", "'F8_E4M3'", "BF16")]
    [DataRow("""{"w":{"dtype":"F32","data_offsets":[0,4]}}""", 4, "'w'", "shape")]
    [DataRow("""{"w":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}""", 4, "'w'", "-1")]
    [DataRow("""{"w":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}""", 4, "'w'", "1.5")]
    [DataRow("""{"w":{"dtype":"F32","shape":[1]}}""", 4, "'w'", "data_offsets")]
    [DataRow("""{"w":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}""", 4, "'w'", "[4, 0]")]
    [DataRow("""{"w":{"dtype":"F32","shape":[1],"data_offsets":[0]}}""", 4, "'w'", "[0]")]
    [DataRow("""{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}""", 4, "'w'", "8 bytes", "found 4")]
    [DataRow("""{"w":{"dtype":"F32","shape":[9223372036854775807,9223372036854775807],"data_offsets":[0,4]}}""", 4, "'w'", "2^63")]
    [DataRow("""{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 3, "'w'", "expected 4", "found 3")]
    [DataRow("""{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 5, "expected 4", "found 5")]
    [DataRow("""{"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", 8, "'w'", "gap")]
    [DataRow("""{"v":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"w":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}}""", 6,
        "'w'", "overlap")]
    [DataRow("""{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", 8,
        "'w' twice")]
    [DataRow("""{"__metadata__":[]}""", 0, "__metadata__")]
    [DataRow("""{"__metadata__":{"step":7}}""", 0, "'step'")]
    [DataRow("""{"__metadata__":{"a":"1","a":"2"}}""", 0, "'a' twice")]
    public void BrokenHeaders_AreRefused(string header, int dataLength, params string[] parts) => Refused(Bytes(header, dataLength), parts);

    private static byte[] Bytes(string header, int dataLength)
    {
        byte[] length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, Encoding.UTF8.GetByteCount(header));
        return [.. length, .. Encoding.UTF8.GetBytes(header), .. new byte[dataLength]];
    }

    private static void Refused(byte[] bytes, params string[] parts)
    {
        Message(() => ReadBytes(bytes), parts);
        using TemporaryFolder folder = new();
        File.WriteAllBytes(folder["c.safetensors"], bytes);
        Message(() => SafetensorsFile.Read(folder["c.safetensors"]), [folder["c.safetensors"], .. parts]);
    }

    private static string Message(Action action, params string[] parts)
    {
        string message = Assert.ThrowsExactly<SafetensorsException>(action).Message;
        foreach (string part in parts)
            Assert.Contains(part, message);
        return message;
    }

    private static byte[] WriteBytes(params (string Name, TensorData Tensor)[] tensors)
    {
        using MemoryStream stream = new();
        SafetensorsFile.Write(stream, tensors.ToDictionary(pair => pair.Name, pair => pair.Tensor));
        return stream.ToArray();
    }

    private static SafetensorsFile ReadBytes(byte[] bytes)
    {
        using MemoryStream stream = new(bytes);
        return SafetensorsFile.Read(stream);
    }

    private static GZipStream ForwardOnly(byte[] bytes)
    {
        MemoryStream zipped = new();
        using (GZipStream zip = new(zipped, CompressionMode.Compress, leaveOpen: true))
            zip.Write(bytes);
        zipped.Position = 0;
        return new GZipStream(zipped, CompressionMode.Decompress);
    }
}
