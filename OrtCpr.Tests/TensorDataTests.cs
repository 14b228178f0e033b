using System.Globalization;
using OrtCpr.Graph;

namespace OrtCpr.Tests;

[TestClass]
public sealed class TensorDataTests
{
    [TestMethod]
    public void From_KeepsValuesAndShape()
    {
        TensorData tensor = TensorData.From<float>([1, 2, 3, 4, 5, 6], 2, 3);
        Assert.AreEqual(ElementType.Float, tensor.Type);
        CollectionAssert.AreEqual(new long[] { 2, 3 }, tensor.Dimensions.ToArray());
        Assert.AreEqual(6, tensor.ElementCount);
        Assert.AreEqual(24, tensor.Bytes.Length);
        CollectionAssert.AreEqual(new float[] { 1, 2, 3, 4, 5, 6 }, tensor.ToArray<float>());
        Assert.AreEqual("Float[2,3]", tensor.ToString());
    }

    [TestMethod]
    public void From_MapsEveryNetTypeToItsElementType()
    {
        Assert.AreEqual(ElementType.Double, TensorData.Scalar(1.0).Type);
        Assert.AreEqual(ElementType.Float16, TensorData.Scalar((Half)1).Type);
        Assert.AreEqual(ElementType.Int64, TensorData.Scalar(1L).Type);
        Assert.AreEqual(ElementType.Int32, TensorData.Scalar(1).Type);
        Assert.AreEqual(ElementType.Int16, TensorData.Scalar((short)1).Type);
        Assert.AreEqual(ElementType.Int8, TensorData.Scalar((sbyte)1).Type);
        Assert.AreEqual(ElementType.UInt64, TensorData.Scalar(1UL).Type);
        Assert.AreEqual(ElementType.UInt32, TensorData.Scalar(1U).Type);
        Assert.AreEqual(ElementType.UInt16, TensorData.Scalar((ushort)1).Type);
        Assert.AreEqual(ElementType.UInt8, TensorData.Scalar((byte)1).Type);
        Assert.AreEqual(ElementType.Bool, TensorData.Scalar(true).Type);
        Assert.Contains("Char", Assert.ThrowsExactly<TensorDataException>(() => TensorData.Scalar('x')).Message);
    }

    [TestMethod]
    public void Create_RefusesBytesThatDoNotFitTheShape()
    {
        string message = Assert.ThrowsExactly<TensorDataException>(() =>
            TensorData.Create(ElementType.Float, [2, 3], new byte[10])).Message;
        Assert.Contains("24", message);
        Assert.Contains("10", message);
        Assert.Contains("Float[2,3]", message);
    }

    [TestMethod]
    public void Create_RefusesNegativeOverflowingAndTooLargeShapes()
    {
        Assert.Contains("-1 at axis 1", Error(2, -1));
        Assert.Contains("-1 at axis 1", Error(0, -1));
        Assert.Contains("2^63", Error(long.MaxValue, long.MaxValue, 7));
        Assert.Contains("2147483648 bytes", Error(1L << 29));

        static string Error(params long[] dims) =>
            Assert.ThrowsExactly<TensorDataException>(() => TensorData.Create(ElementType.Float, dims, default)).Message;
    }

    [TestMethod]
    public void Create_AcceptsAnEmptyTensorHoweverLargeItsOtherDimensions() =>
        Assert.AreEqual(0, TensorData.Create(ElementType.Float, [long.MaxValue, 0, long.MaxValue], default).ElementCount);

    [TestMethod]
    public void AsSpan_RefusesAnotherType()
    {
        TensorData tensor = TensorData.Scalar(1f);
        string message = Assert.ThrowsExactly<TensorDataException>(() => tensor.AsSpan<int>().Length).Message;
        Assert.Contains("Int32", message);
        Assert.Contains("Float", message);
    }

    [TestMethod]
    [DataRow(ElementType.Float8E4M3FN, new byte[] { 0x38, 0xB8, 0x7E, 0x01, 0x7F }, new[] { 1, -1, 448, 0.001953125, double.NaN })]
    [DataRow(ElementType.Float8E4M3FNUZ, new byte[] { 0x40, 0x7F, 0x80 }, new[] { 1, 240, double.NaN })]
    [DataRow(ElementType.Float8E5M2, new byte[] { 0x3C, 0x7B, 0x7C, 0xFC, 0x7D },
        new[] { 1, 57344, double.PositiveInfinity, double.NegativeInfinity, double.NaN })]
    [DataRow(ElementType.Float8E5M2FNUZ, new byte[] { 0x40, 0x7F, 0x80 }, new[] { 1, 57344, double.NaN })]
    [DataRow(ElementType.Float8E8M0, new byte[] { 127, 128, 0, 255 }, new[] { 1, 2, 5.877471754111438e-39, double.NaN })]
    [DataRow(ElementType.BFloat16, new byte[] { 0x80, 0x3F, 0x00, 0xC0 }, new[] { 1.0, -2 })]
    [DataRow(ElementType.Float16, new byte[] { 0x00, 0x3C, 0x00, 0xC0 }, new[] { 1.0, -2 })]
    [DataRow(ElementType.Bool, new byte[] { 0, 1 }, new[] { 0.0, 1 })]
    public void ToDoubles_ReadsEveryNumericType(ElementType type, byte[] bytes, double[] expected)
    {
        TensorData tensor = TensorData.Create(type, [expected.Length], bytes);
        CollectionAssert.AreEqual(expected, tensor.ToDoubles());
    }

    [TestMethod]
    public void ToInt64s_UnpacksSmallIntegersLowBitsFirst()
    {
        CollectionAssert.AreEqual(new long[] { 1, -1, 7 }, TensorData.Create(ElementType.Int4, [3], new byte[] { 0xF1, 0x07 }).ToInt64s());
        CollectionAssert.AreEqual(new long[] { 1, 15, 7 }, TensorData.Create(ElementType.UInt4, [3], new byte[] { 0xF1, 0x07 }).ToInt64s());
        CollectionAssert.AreEqual(new long[] { 0, 1, -2, -1, 1 },
            TensorData.Create(ElementType.Int2, [5], new byte[] { 0xE4, 0x01 }).ToInt64s());
        CollectionAssert.AreEqual(new[] { 0, 0.5, -6, 6 },
            TensorData.Create(ElementType.Float4E2M1, [4], new byte[] { 0x10, 0x7F }).ToDoubles());
    }

    [TestMethod]
    public void ToInt64s_RefusesFloatsAndNumbersBeyondItsRange()
    {
        Assert.ThrowsExactly<TensorDataException>(() => TensorData.Scalar(1f).ToInt64s());
        string message = Assert.ThrowsExactly<TensorDataException>(() => TensorData.Scalar(ulong.MaxValue).ToInt64s()).Message;
        Assert.Contains(ulong.MaxValue.ToString(CultureInfo.InvariantCulture), message);
        Assert.ThrowsExactly<TensorDataException>(() => TensorData.FromStrings(["a"], 1).ToDoubles());
    }

    [TestMethod]
    public void ConvertTo_RoundsToNearestEvenOnce()
    {
        // Just above the middle between two brain floats, by less than a float can see: rounding twice would go down to even.
        double aboveTie = 1 + (1.0 / 256) + (1.0 / (1L << 40));
        Assert.AreEqual(1.0078125, Through(aboveTie, ElementType.BFloat16));
        Assert.AreEqual(1, Through(1 + (1.0 / 256), ElementType.BFloat16));
        Assert.AreEqual(-1.0078125, Through(-aboveTie, ElementType.BFloat16));
        Assert.AreEqual(double.PositiveInfinity, Through(1e300, ElementType.BFloat16));
        Assert.AreEqual(double.NegativeInfinity, Through(-3.4e38, ElementType.BFloat16));
        Assert.IsTrue(double.IsNaN(Through(double.NaN, ElementType.BFloat16)));
        Assert.AreEqual(0, Through(1e-300, ElementType.BFloat16));
        Assert.AreEqual(1.0009765625, Through(1.0008, ElementType.Float16));
        Assert.AreEqual((float)0.1, Through(0.1, ElementType.Float));

        static double Through(double value, ElementType type) =>
            TensorData.Scalar(value).ConvertTo(type).ConvertTo(ElementType.Double).ToArray<double>()[0];
    }

    [TestMethod]
    public void ConvertTo_GivesEveryHalfAndBrainFloatBackFromFloat()
    {
        ushort[] all = [.. Enumerable.Range(0, 65536).Select(i => (ushort)i)];
        foreach (ElementType type in new[] { ElementType.Float16, ElementType.BFloat16 })
        {
            TensorData tensor = TensorData.Create(type, [all.Length], TensorData.From<ushort>(all, all.Length).Bytes);
            CollectionAssert.AreEqual(tensor.ToDoubles(), tensor.ConvertTo(ElementType.Float).ConvertTo(type).ToDoubles());
        }
    }

    [TestMethod]
    public void ConvertTo_RefusesIntegersAndReturnsItselfForItsOwnType()
    {
        TensorData tensor = TensorData.Scalar(1L);
        Assert.AreSame(tensor, tensor.ConvertTo(ElementType.Int64));
        Assert.Contains("Int64", Assert.ThrowsExactly<TensorDataException>(() => tensor.ConvertTo(ElementType.Float)).Message);
    }
}
