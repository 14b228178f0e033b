using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace OrtCpr.Distributed.Mpi;

/// <summary>The additions of 16-bit floats, which MPI has no type for: functions that its reductions call. Each addition is made in
/// float32 and rounded to nearest even.</summary>
internal static unsafe class HalfSums
{
    /// <summary>As MPI_User_function: left, right ← left + right, number of elements, type.</summary>
    public static delegate* unmanaged[Cdecl]<ushort*, ushort*, int*, nint*, void> Float16 => &AddFloat16;

    /// <summary>The same for bfloat16.</summary>
    public static delegate* unmanaged[Cdecl]<ushort*, ushort*, int*, nint*, void> BFloat16 => &AddBFloat16;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void AddFloat16(ushort* left, ushort* right, int* count, nint* type)
    {
        for (int i = 0; i < *count; i++)
        {
            float sum = (float)BitConverter.UInt16BitsToHalf(left[i]) + (float)BitConverter.UInt16BitsToHalf(right[i]);
            right[i] = BitConverter.HalfToUInt16Bits((Half)sum);
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void AddBFloat16(ushort* left, ushort* right, int* count, nint* type)
    {
        for (int i = 0; i < *count; i++)
        {
            float sum = BitConverter.UInt32BitsToSingle((uint)left[i] << 16) + BitConverter.UInt32BitsToSingle((uint)right[i] << 16);
            uint bits = BitConverter.SingleToUInt32Bits(sum);
            // A NaN whose payload is all in the lower half must not round to infinity.
            right[i] = float.IsNaN(sum) ? (ushort)((bits >> 16) | 0x40) : (ushort)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
        }
    }
}
